"""A node pack for tests: tiny random checkpoints of ComfyUI's classes, and plain attention."""

from .checkpoints import load
from .proof import prove


class TinyCheckpoint:
    """MODEL, CLIP and VAE of a family: the real model class with random weights."""

    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "load", ("MODEL", "CLIP", "VAE")

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"family": ("STRING", {"default": ""})}}

    def load(self, family):
        return load(family)


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


NODE_CLASS_MAPPINGS = {"TinyCheckpoint": TinyCheckpoint, "TinyProof": TinyProof}
