"""What the words ask for, and how they are read.

Here: one line of text to one `Expression`, by word lists. Not here: pictures, tensors, models
(this room is read without torch), nor what geometry makes of "left" (`choosing`).
"""
