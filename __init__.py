"""Ref-Diff for ComfyUI: describe which one, get its mask, from the checkpoint already loaded."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """Hand the nodes to ComfyUI, which calls this once."""
    try:
        from .nodes import RefDiffExtension
    except Exception:
        import logging

        # ComfyUI would log one line without the traceback
        logging.getLogger("refdiff").exception("Ref-Diff could not be loaded")
        raise
    return RefDiffExtension()


__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
