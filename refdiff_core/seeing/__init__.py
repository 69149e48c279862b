"""What a picture shows: maps of the words, and the regions that could be things.

Here: pure maths from queries and keys to maps, from maps to proposals, on any host's tensors.
Not here: the models that are asked (`backends`), nor which of the regions is meant (`choosing`).
"""
