"""Pictures in and out: files to tensors, masks from outside, pictures about results.

Here: what knows Pillow, colours and file formats.
Not here: what is in a picture (`seeing`), nor where results are kept (`runs`).
"""
