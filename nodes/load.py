"""Loaders: the bundled demo models, SAM, CLIP."""

from __future__ import annotations

from comfy_api.latest import io

from ..refdiff_core.backends.clip_scorer import ClipModel
from ..refdiff_core.demo.models import load_clip, load_sam
from ._check import checked
from ._demo import TRANSFORMER, U_NET, demo_picture, load_demo
from ._models import (
    ARCHITECTURES,
    BY_NAME,
    CLIPS,
    DEMO_NAME,
    SAMS,
    hold_clip,
    hold_sam,
    list_files,
    load_host_clip,
    load_host_sam,
    missing_file,
)
from ._schema import LOADERS, Clip, Sam, schema


class RefDiffLoadDemo(io.ComfyNode):
    """The bundled models, and a made-up picture that they know."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffLoadDemo",
            display_name="Load Ref-Diff Demo Models",
            category=LOADERS,
            description="Tiny models that come with Ref-Diff, for a first run without any "
            "download. They know coloured shapes on plain backgrounds (red circle, blue star, ...) "
            "and nothing else: for real pictures, load a real checkpoint.",
            search_aliases=["demo", "example models", "refdiff"],
            inputs=[
                io.Int.Input(
                    "scene",
                    default=0,
                    min=0,
                    max=9999,
                    tooltip="Which of the made-up pictures to hand out; the models have seen "
                    "none of them.",
                ),
                io.Combo.Input(
                    "denoiser",
                    options=[U_NET, TRANSFORMER],
                    default=U_NET,
                    optional=True,
                    tooltip="How the model is built: like Stable Diffusion 1.x and XL, or like "
                    "Stable Diffusion 3, Flux and others. Both know the same shapes.",
                ),
            ],
            outputs=[
                io.Model.Output("model", display_name="MODEL"),
                io.Clip.Output("clip", display_name="CLIP"),
                io.Vae.Output("vae", display_name="VAE"),
                Sam.Output("sam_model", display_name="SAM_MODEL"),
                Clip.Output("refdiff_clip", display_name="REFDIFF_CLIP"),
                io.Image.Output(
                    "image", display_name="IMAGE", tooltip="A made-up picture to try them on."
                ),
            ],
        )

    @classmethod
    @checked
    def execute(cls, scene: int, denoiser: str = U_NET) -> io.NodeOutput:
        sam, clip = hold_sam(load_sam(), DEMO_NAME), hold_clip(ClipModel(*load_clip()))
        return io.NodeOutput(*load_demo(denoiser), sam, clip, demo_picture(scene))


class RefDiffLoadSAM(io.ComfyNode):
    """A Segment Anything checkpoint as SAM_MODEL, which other packs take, too."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffLoadSAM",
            display_name="Load SAM",
            category=LOADERS,
            description="Loads a Segment Anything model (sam_vit_b, sam_vit_l, sam_vit_h) from "
            "models/sams. Impact Pack's and storyicon's nodes can use it too.",
            search_aliases=["segment anything", "sam", "sam_vit", "SAMLoader", "load sam"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=list_files(SAMS),
                    tooltip="A file in models/sams, as Meta published it (.pth) or as "
                    ".safetensors. 'python install.py' says where to get one.",
                )
            ],
            outputs=[Sam.Output("sam_model", display_name="SAM_MODEL")],
        )

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        return missing_file(SAMS, file) or True

    @classmethod
    @checked
    def execute(cls, file: str) -> io.NodeOutput:
        return io.NodeOutput(load_host_sam(file))


class RefDiffLoadCLIP(io.ComfyNode):
    """An open_clip model as REFDIFF_CLIP; see `refdiff_core.backends.clip_models`."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffLoadCLIP",
            display_name="Load CLIP for Scoring",
            category=LOADERS,
            description="Loads an open_clip model with its picture side, from models/open_clip, "
            "for CLIP Score. A checkpoint's own CLIP has no picture side.",
            search_aliases=["open_clip", "clip vision", "clip score"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=list_files(CLIPS),
                    tooltip="A file in models/open_clip: open_clip's or OpenAI's weights of a "
                    "vision transformer.",
                ),
                io.Combo.Input(
                    "architecture",
                    options=[BY_NAME, *ARCHITECTURES],
                    default=BY_NAME,
                    tooltip="What the file holds. OpenAI's own weights need '-quickgelu'. By "
                    "name, ViT-B-16.laion2b.safetensors is a ViT-B-16.",
                ),
            ],
            outputs=[Clip.Output("refdiff_clip", display_name="REFDIFF_CLIP")],
        )

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        return missing_file(CLIPS, file) or True

    @classmethod
    @checked
    def execute(cls, file: str, architecture: str) -> io.NodeOutput:
        return io.NodeOutput(load_host_clip(file, architecture))
