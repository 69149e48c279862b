"""The example graphs of transformer checkpoints, wired as ComfyUI's own templates wire them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drawn import Drawn
from parts import (
    AE,
    CLIP_L,
    EDIT,
    FILL,
    LIGHTNING,
    QWEN_3,
    QWEN_VAE,
    QWEN_VL,
    SAM,
    T5,
    Z_IMAGE,
    keep,
    model,
    sample,
)

Parts = dict[str, Any]


def flux(draw: Drawn) -> None:
    draw.note(
        "## Describe, click, inpaint - Flux.1 Fill\n\n1. Load a picture.\n2. Say **which one**, "
        "and what to paint there.\n3. **Run**. Another one was meant? Click it, and run again.\n\n"
        "The words are read from **the model that paints**: nothing else is loaded for them but "
        "SAM, for sharp edges.\n\nWith Flux.1 dev, set the guidance to 3.5; Differential Diffusion "
        "is what makes it inpaint.",
        (20, 20), (340, 270),
    )  # fmt: skip
    picture = photograph(draw)
    clip = draw.add(
        "DualCLIPLoader", (20, 930), (340, 130), clip_name1=CLIP_L, clip_name2=T5, type="flux",
        device="default", properties=model(CLIP_L, T5),
    )  # fmt: skip
    parts = split(draw, FILL, clip, AE)
    found = which_one(draw, parts, picture, "the cup on the left")
    yes = wanted(draw, parts, "a glass of orange juice, photo")
    guided = draw.add("FluxGuidance", (940, 200), (320, 60), conditioning=(yes, "CONDITIONING"),
                      guidance=30.0)  # fmt: skip
    no = nothing(draw, yes, (940, 320))
    ready = draw.add(
        "InpaintModelConditioning", (940, 410), (320, 140), positive=(guided, "CONDITIONING"),
        negative=(no, "CONDITIONING"), vae=parts["vae"], pixels=picture, mask=(found, "mask"),
        noise_mask=True,
    )  # fmt: skip
    soft = draw.add("DifferentialDiffusion", (1320, 20), (300, 60), model=parts["model"])
    pair = (ready, "positive"), (ready, "negative")
    sampled = sample(draw, (1320, 150), (soft, "MODEL"), pair, (ready, "latent"),
                     ("euler", "normal"), steps=20, cfg=1.0)  # fmt: skip
    keep(draw, (1320, 480), parts, sampled, picture, (found, "mask"), "refdiff_flux")


def z_image(draw: Drawn) -> None:
    draw.note(
        "## Describe, click, inpaint - Z-Image Turbo\n\n1. Load a picture.\n2. Say **which one**, "
        "and what to paint there.\n3. **Run**. Another one was meant? Click it, and run again.\n\n"
        "The words are read from **the model that paints**. Ref-Diff takes it straight from its "
        "loader; shift and Differential Diffusion are for the sampler.\n\nLess *denoise* keeps "
        "more of what was there. Needs a ComfyUI that knows Z-Image.",
        (20, 20), (340, 270),
    )  # fmt: skip
    picture = photograph(draw)
    clip = one_encoder(draw, QWEN_3, "lumina2")
    parts = split(draw, Z_IMAGE, clip, AE)
    found = which_one(draw, parts, picture, "the cup on the left")
    yes = wanted(draw, parts, "a glass of orange juice, photo")
    no = nothing(draw, yes, (940, 200))
    latent = masked(draw, parts, picture, (found, "mask"), (940, 290))
    shifted = draw.add(
        "ModelSamplingAuraFlow", (1320, 20), (300, 60), model=parts["model"], shift=3.0
    )
    soft = draw.add("DifferentialDiffusion", (1320, 140), (300, 60), model=(shifted, "MODEL"))
    pair = (yes, "CONDITIONING"), (no, "CONDITIONING")
    sampled = sample(draw, (1320, 260), (soft, "MODEL"), pair, latent,
                     ("res_multistep", "simple"), steps=8, cfg=1.0)  # fmt: skip
    keep(draw, (1320, 590), parts, sampled, picture, (found, "mask"), "refdiff_z_image")


def qwen_image_edit(draw: Drawn) -> None:
    draw.note(
        "## Edit one thing only - Qwen-Image-Edit\n\n1. Load a picture.\n2. Say **which one**, and "
        "what is to become of it.\n3. **Run**. Another one was meant? Click it, and run again.\n\n"
        "An edit model changes the whole picture a little; here it changes the mask, and nothing "
        "else.\n\n*show as reference* is on in Ref-Diff Segment: the picture is read as what is to "
        "be edited. Four steps with the Lightning LoRA; without it 20 steps, CFG 4.",
        (20, 20), (340, 270),
    )  # fmt: skip
    loaded = draw.add("LoadImage", (20, 350), (340, 330), image="example.png")
    picture = (
        draw.add("FluxKontextImageScale", (20, 740), (340, 40), "To a size that it knows",
                 image=(loaded, "IMAGE")),
        "IMAGE",
    )  # fmt: skip
    clip = one_encoder(draw, QWEN_VL, "qwen_image")
    parts = split(draw, EDIT, clip, QWEN_VAE)
    found = which_one(draw, parts, picture, "the cup on the left", reference=True)
    texts = {"clip": parts["clip"], "vae": parts["vae"], "image1": picture}
    yes = draw.add(
        "TextEncodeQwenImageEditPlus", (940, 20), (320, 180), "What is to become of it", **texts,
        prompt="Turn the cup on the left into a glass of orange juice",
    )  # fmt: skip
    no = draw.add("TextEncodeQwenImageEditPlus", (940, 260), (320, 180), "Nothing", **texts,
                  prompt="")  # fmt: skip
    latent = masked(draw, parts, picture, (found, "mask"), (940, 500))
    lora = draw.add(
        "LoraLoaderModelOnly", (1320, 20), (300, 90), model=parts["model"], lora_name=LIGHTNING,
        strength_model=1.0, properties=model(LIGHTNING),
    )  # fmt: skip
    shifted = draw.add(
        "ModelSamplingAuraFlow", (1320, 170), (300, 60), model=(lora, "MODEL"), shift=3.0
    )
    normed = draw.add("CFGNorm", (1320, 290), (300, 60), model=(shifted, "MODEL"), strength=1.0)
    soft = draw.add(
        "DifferentialDiffusion", (1320, 410), (300, 60), model=(normed, "patched_model")
    )
    pair = (yes, "CONDITIONING"), (no, "CONDITIONING")
    sampled = sample(draw, (1320, 530), (soft, "MODEL"), pair, latent, ("euler", "simple"),
                     steps=4, cfg=1.0)  # fmt: skip
    keep(draw, (1320, 860), parts, sampled, picture, (found, "mask"), "refdiff_qwen_edit")


def photograph(draw: Drawn) -> tuple[int, str]:
    """A picture of about one megapixel, its sides multiples of what the model takes."""
    loaded = draw.add("LoadImage", (20, 350), (340, 330), image="example.png")
    scaled = draw.add(
        "ImageScaleToTotalPixels", (20, 740), (340, 130), "To a size that it knows",
        image=(loaded, "IMAGE"), upscale_method="lanczos", megapixels=1.0,
        resolution_steps=16,
    )  # fmt: skip
    return scaled, "IMAGE"


def one_encoder(draw: Drawn, name: str, kind: str) -> int:
    return draw.add(
        "CLIPLoader", (20, 930), (340, 110), clip_name=name, type=kind, device="default",
        properties=model(name),
    )  # fmt: skip


def split(draw: Drawn, denoiser: str, clip: int, vae: str) -> Parts:
    """MODEL, CLIP, VAE from files of their own."""
    load = draw.add(
        "UNETLoader", (20, 1120), (340, 90), unet_name=denoiser, weight_dtype="default",
        properties=model(denoiser),
    )  # fmt: skip
    encode = draw.add("VAELoader", (20, 1270), (340, 60), vae_name=vae, properties=model(vae))
    return {"model": (load, "MODEL"), "clip": (clip, "CLIP"), "vae": (encode, "VAE")}


def which_one(draw: Drawn, parts: Mapping[str, Any], picture: Any, text: str, **how: Any) -> int:
    sam = draw.add("RefDiffLoadSAM", (20, 1390), (340, 60), file=SAM, properties=model(SAM))
    return draw.add(
        "RefDiffSegment", (420, 20), (460, 900), **parts, image=picture,
        sam_model=(sam, "SAM_MODEL"), expressions=text, grow=16, feather=8, **how,
    )  # fmt: skip


def wanted(draw: Drawn, parts: Mapping[str, Any], text: str) -> int:
    return draw.add(
        "CLIPTextEncode", (940, 20), (320, 120), "What to paint there", clip=parts["clip"],
        text=text,
    )  # fmt: skip


def nothing(draw: Drawn, text: int, at: tuple[int, int]) -> int:
    """What a distilled model has for a negative."""
    return draw.add("ConditioningZeroOut", at, (320, 30), conditioning=(text, "CONDITIONING"))


def masked(
    draw: Drawn, parts: Mapping[str, Any], picture: Any, mask: Any, at: tuple[int, int]
) -> tuple[int, str]:
    """The picture's latents, of which the mask is painted."""
    x, y = at
    latent = draw.add("VAEEncode", at, (320, 60), pixels=picture, vae=parts["vae"])
    found = draw.add(
        "SetLatentNoiseMask", (x, y + 120), (320, 60), samples=(latent, "LATENT"), mask=mask
    )
    return found, "LATENT"
