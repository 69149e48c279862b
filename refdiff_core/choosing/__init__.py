"""Which one: from maps, proposals and CLIP's figures to a ranking and a mask.

Here: scores, geometry, relations, fusion; pure maths on values.
Not here: anything that runs a model (`backends`) or parses words (`language`).
"""
