"""Ref-Diff in Stable Diffusion WebUI (AUTOMATIC1111's) and its forks.

`scripts/refdiff_webui.py` is the door. Not here: the method (`refdiff_core`).
"""
