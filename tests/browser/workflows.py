"""Draws the example graphs and the blueprints anew.

COMFYUI_PATH=~/ComfyUI python tests/browser/workflows.py

The host says which inputs its nodes have, so it must be a recent one. Their pictures are made by
`scripts/pictures`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT), str(ROOT / "tests" / "host"), str(ROOT / "tests" / "browser")]

from blueprints import BLUEPRINTS, blueprint  # noqa: E402
from drawn import Drawn  # noqa: E402
from hosts import comfy_roots  # noqa: E402
from parts import SAM3, SD15, SDXL, keep, loaded, model, sample, texts  # noqa: E402
from server import running  # noqa: E402
from transformers_drawn import flux, qwen_image_edit, z_image  # noqa: E402


def demo(draw: Drawn) -> None:
    draw.note(
        "## Say which one\n\n1. Press **Run**. The words find a yellow square, and it is taken "
        "away.\n2. The other one was meant? **Click it** on the picture.\n3. Press **Run** again."
        "\n\n*Shift* + click adds, *Alt* + click takes away, a drag asks around a box. The sliders "
        "shape the mask at once.\n\nThe tiny models here come with Ref-Diff. They know coloured "
        "shapes and nothing else: for your own pictures take *Inpaint by words*.",
        (20, 20), (340, 330),
    )  # fmt: skip
    load = draw.add("RefDiffLoadDemo", (20, 400), (340, 200), scene=137)
    parts = {"model": (load, "MODEL"), "clip": (load, "CLIP"), "vae": (load, "VAE")}
    picture = (load, "IMAGE")
    found = draw.add(
        "RefDiffSegment", (420, 20), (460, 760), **parts, image=picture,
        sam_model=(load, "SAM_MODEL"), refdiff_clip=(load, "REFDIFF_CLIP"),
        expressions="the yellow square", grow=4, feather=4,
    )  # fmt: skip
    yes = draw.add(
        "CLIPTextEncode", (940, 20), (320, 100), "What to paint there",
        clip=(load, "CLIP"), text="an empty grey wall",
    )  # fmt: skip
    no = draw.add(
        "CLIPTextEncode", (940, 180), (320, 100), "What not to paint",
        clip=(load, "CLIP"), text="a yellow square, a circle, a star, a ring",
    )  # fmt: skip
    latent = draw.add("VAEEncode", (940, 340), (320, 60), pixels=picture, vae=parts["vae"])
    masked = draw.add(
        "SetLatentNoiseMask", (940, 460), (320, 60), samples=(latent, "LATENT"),
        mask=(found, "mask"),
    )  # fmt: skip
    pair = (yes, "CONDITIONING"), (no, "CONDITIONING")
    sampled = sample(draw, (1320, 20), parts["model"], pair, (masked, "LATENT"),
                     ("euler", "normal"), seed=2, steps=12, cfg=3.0)  # fmt: skip
    kept = keep(draw, (1320, 350), parts, sampled, picture, (found, "mask"), "refdiff_demo",
                resize_source=False)  # fmt: skip
    larger = draw.add(
        "ImageScaleBy", (1680, 540), (340, 90), image=(kept, "IMAGE"),
        upscale_method="lanczos", scale_by=3.0,
    )  # fmt: skip
    draw.add("PreviewImage", (1680, 20), (460, 420), "The result, larger",
             images=(larger, "IMAGE"))  # fmt: skip


def several(draw: Drawn) -> None:
    lines = "the yellow circle\nthe large yellow square\nthe black star"
    draw.note(
        "## Several expressions at once\n\nOne line, one mask; the panel has a tab for each. The "
        "picture is looked at **once** for all of them (some transformers, such as Z-Image, once a "
        "line).\n\n`not: ...` says what the other lines must leave out.\n\nThese are the single "
        "steps of Ref-Diff Segment: each can be looked at, and a change only runs again what it "
        "touches.",
        (20, 20), (340, 300),
    )  # fmt: skip
    load = draw.add("RefDiffLoadDemo", (20, 380), (340, 200), scene=5)
    parts = {"model": (load, "MODEL"), "clip": (load, "CLIP"), "vae": (load, "VAE")}
    picture = (load, "IMAGE")
    seen = draw.add(
        "RefDiffAttention", (420, 20), (380, 220), **parts, image=picture, expressions=lines
    )
    draw.add("PreviewImage", (420, 300), (380, 360), "Where the words are",
             images=(seen, "heat map"))  # fmt: skip
    things = draw.add(
        "RefDiffSAMProposals", (860, 20), (340, 130), sam_model=(load, "SAM_MODEL"),
        image=picture, attention=(seen, "attention"),
    )  # fmt: skip
    scores = draw.add(
        "RefDiffCLIPScore", (860, 210), (340, 180), refdiff_clip=(load, "REFDIFF_CLIP"),
        image=picture, proposals=(things, "proposals"), expressions=lines,
    )  # fmt: skip
    fused = draw.add(
        "RefDiffFuseMasks", (1260, 20), (460, 640), attention=(seen, "attention"),
        proposals=(things, "proposals"), scores=(scores, "scores"),
    )  # fmt: skip
    draw.add("PreviewImage", (1780, 20), (420, 300), "One mask a line",
             images=(fused, "overlay"))  # fmt: skip
    cut = draw.add(
        "RefDiffCutOut", (1780, 380), (340, 280), image=picture, mask=(fused, "mask"), margin=4
    )
    draw.add("PreviewImage", (2180, 380), (420, 300), "Each by itself",
             images=(cut, "on color"))  # fmt: skip


def sd15(draw: Drawn) -> None:
    draw.note(
        "## Describe, click, inpaint\n\n1. Load a picture.\n2. Say **which one**, and what to "
        "paint there.\n3. **Run**. Another one was meant? Click it, and run again.\n\n**SAM** "
        "makes the edges sharp. Without it, leave `sam_model` open: the mask then comes from the "
        "attention alone.",
        (20, 20), (340, 300),
    )  # fmt: skip
    parts, picture, sam = loaded(draw, SD15)
    found = draw.add(
        "RefDiffSegment", (420, 20), (460, 820), **parts, image=picture, sam_model=sam,
        expressions="the cup on the left", grow=8, feather=4,
    )  # fmt: skip
    yes, no = texts(draw, parts, "a glass of orange juice, photo", 940)
    ready = draw.add(
        "InpaintModelConditioning", (940, 380), (320, 140), positive=(yes, "CONDITIONING"),
        negative=(no, "CONDITIONING"), vae=parts["vae"], pixels=picture, mask=(found, "mask"),
        noise_mask=True,
    )  # fmt: skip
    pair = (ready, "positive"), (ready, "negative")
    sampled = sample(draw, (1320, 20), parts["model"], pair, (ready, "latent"),
                     ("dpmpp_2m", "karras"), steps=24, cfg=7.0)  # fmt: skip
    keep(draw, (1320, 350), parts, sampled, picture, (found, "mask"), "refdiff_sd15")


def sdxl(draw: Drawn) -> None:
    draw.note(
        "## Crop, inpaint, stitch\n\nOf a large picture only the part around the thing is painted, "
        "at SDXL's own size, and put back where it was. *Cut Out and Crop* hands on the numbers: "
        "nothing is typed twice.\n\nOnly the mask is put back: every other pixel stays as it was.",
        (20, 20), (340, 300),
    )  # fmt: skip
    parts, picture, sam = loaded(draw, SDXL)
    found = draw.add(
        "RefDiffSegment", (420, 20), (460, 820), **parts, image=picture, sam_model=sam,
        expressions="the woman in the red coat", grow=16, feather=12,
    )  # fmt: skip
    yes, no = texts(draw, parts, "a woman in a green raincoat, photograph", 940)
    cut = draw.add(
        "RefDiffCutOut", (940, 380), (320, 280), image=picture, mask=(found, "mask"), margin=96
    )
    large = draw.add(
        "ImageScaleToTotalPixels", (940, 720), (320, 110), "To SDXL's size",
        image=(cut, "crop"), upscale_method="lanczos", megapixels=1.0,
    )  # fmt: skip
    decoded = _repaint(draw, parts, yes, no, (large, "IMAGE"), (cut, "crop mask"))
    back = draw.add(
        "ImageScale", (1680, 140), (300, 140), "Scale back", image=(decoded, "IMAGE"),
        upscale_method="lanczos", width=(cut, "width"), height=(cut, "height"), crop="disabled",
    )  # fmt: skip
    kept = draw.add(
        "ImageCompositeMasked", (1680, 340), (300, 160), "Stitch", destination=picture,
        source=(back, "IMAGE"), mask=(cut, "crop mask"), x=(cut, "x"), y=(cut, "y"),
        resize_source=False,
    )  # fmt: skip
    draw.add(
        "SaveImage", (2040, 20), (460, 480), images=(kept, "IMAGE"), filename_prefix="refdiff_sdxl"
    )


def _repaint(
    draw: Drawn, parts: Mapping[str, Any], yes: int, no: int, pixels: Any, mask: Any
) -> int:
    """Encode, sample inside a soft mask, decode."""
    latent = draw.add("VAEEncode", (1320, 20), (300, 60), pixels=pixels, vae=parts["vae"])
    masked = draw.add(
        "SetLatentNoiseMask", (1320, 140), (300, 60), samples=(latent, "LATENT"),
        mask=mask,
    )  # fmt: skip
    soft = draw.add("DifferentialDiffusion", (1320, 260), (300, 60), model=parts["model"])
    pair = (yes, "CONDITIONING"), (no, "CONDITIONING")
    sampled = sample(draw, (1320, 380), (soft, "MODEL"), pair, (masked, "LATENT"),
                     ("dpmpp_2m", "karras"), steps=28, cfg=6.0, denoise=0.85)  # fmt: skip
    return draw.add(
        "VAEDecode", (1680, 20), (300, 60), samples=(sampled, "LATENT"), vae=parts["vae"]
    )


def sam3(draw: Drawn) -> None:
    draw.note(
        "## Which one of SAM 3's masks\n\nSAM 3 finds **all** cups. Ref-Diff knows **which** of "
        "them you mean: connect any batch of masks as *proposals*, and click where it was wrong."
        "\n\n*individual_masks* is on in SAM3 Detect, and its text is `cup:20` (up to 20 of them). "
        "SAM 3.1 needs ComfyUI 0.20 or newer.",
        (20, 20), (340, 300),
    )  # fmt: skip
    picture = (draw.add("LoadImage", (20, 380), (340, 330), image="example.png"), "IMAGE")
    load = draw.add(
        "CheckpointLoaderSimple", (20, 770), (340, 100), "Stable Diffusion, for Ref-Diff",
        ckpt_name=SD15, properties=model(SD15),
    )  # fmt: skip
    sam = draw.add(
        "CheckpointLoaderSimple", (20, 930), (340, 100), "SAM 3.1", ckpt_name=SAM3,
        properties=model(SAM3),
    )  # fmt: skip
    parts = {"model": (load, "MODEL"), "clip": (load, "CLIP"), "vae": (load, "VAE")}
    kind = draw.add(
        "CLIPTextEncode", (420, 20), (380, 100), "What kind of thing (SAM 3)",
        clip=(sam, "CLIP"), text="cup:20",
    )  # fmt: skip
    masks = draw.add(
        "SAM3_Detect", (420, 180), (380, 220), model=(sam, "MODEL"), image=picture,
        conditioning=(kind, "CONDITIONING"), threshold=0.5, refine_iterations=2,
        individual_masks=True,
    )  # fmt: skip
    seen = draw.add(
        "RefDiffAttention", (420, 460), (380, 220), **parts, image=picture,
        expressions="the second cup from the left",
    )  # fmt: skip
    fused = draw.add(
        "RefDiffFuseMasks", (860, 20), (460, 640), attention=(seen, "attention"),
        proposals=(masks, "masks"),
    )  # fmt: skip
    draw.add("PreviewImage", (1380, 20), (420, 400), "What was found",
             images=(fused, "overlay"))  # fmt: skip


EXAMPLES = {
    "Demo - say which one": demo,
    "Demo - several expressions": several,
    "Inpaint by words - SD 1.5": sd15,
    "Inpaint by words - Flux.1 Fill": flux,
    "Inpaint by words - Z-Image": z_image,
    "Edit by words - Qwen-Image-Edit": qwen_image_edit,
    "Crop, inpaint, stitch - SDXL": sdxl,
    "Which of the masks - SAM 3": sam3,
}


def write(path: Path, graph: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write(f"{path.relative_to(ROOT)}\n")


def main() -> None:
    roots = comfy_roots()
    if not roots:
        raise SystemExit("COMFYUI_PATH names no ComfyUI. Name a recent one.")
    with tempfile.TemporaryDirectory() as base, running(roots[0], Path(base)) as server:
        info = server.get("/object_info")
    for name, draw in EXAMPLES.items():
        graph = Drawn(info, name)
        draw(graph)
        write(ROOT / "example_workflows" / f"{name}.json", graph.graph())
    for name, (build, about) in BLUEPRINTS.items():
        graph = Drawn(info, name)
        write(ROOT / "subgraphs" / f"{name}.json", blueprint(graph, name, build(graph), about))


if __name__ == "__main__":
    main()
