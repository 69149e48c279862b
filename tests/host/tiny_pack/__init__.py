"""A node pack for tests: tiny random checkpoints of ComfyUI's classes, and plain attention."""

import comfy.sd
import comfy.utils

from .checkpoints import load
from .packed import Operations
from .proof import prove


class TinyCheckpoint:
    """MODEL, CLIP and VAE of a family: the real model class with random weights."""

    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "load", ("MODEL", "CLIP", "VAE")

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"family": ("STRING", {"default": ""})}}

    def load(self, family):
        return load(family)


class TinyPacked:
    """MODEL from a file of packed weights, by ComfyUI's own loader, as packs for GGUF load them."""

    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "load", ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"path": ("STRING", {"default": ""})}}

    def load(self, path):
        options = {"custom_operations": Operations}
        state = comfy.utils.load_torch_file(path)
        return (comfy.sd.load_diffusion_model_state_dict(state, model_options=options),)


class TinyProof:
    """Compares what Ref-Diff read with plain full attention, and says what it found."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE = "tests", "prove", (), True

    @classmethod
    def INPUT_TYPES(cls):
        kinds = {"model": "MODEL", "clip": "CLIP", "vae": "VAE", "image": "IMAGE"}
        required = {name: (kind,) for name, kind in kinds.items()}
        required["attention"] = ("REFDIFF_ATTENTION",)
        return {"required": {**required, "family": ("STRING", {"default": ""})}}

    def prove(self, model, clip, vae, image, attention, family):
        return {"ui": {"proof": [prove(family, (model, clip, vae), image, attention)]}}


NODE_CLASS_MAPPINGS = {each.__name__: each for each in (TinyCheckpoint, TinyPacked, TinyProof)}
