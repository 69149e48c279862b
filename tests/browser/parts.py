"""What several example graphs have in common: files by name and address, loaders, ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drawn import Drawn

HUB = "https://huggingface.co/"
SD15 = "sd-v1-5-inpainting.safetensors"
SDXL = "sd_xl_base_1.0.safetensors"
SAM = "sam_vit_b_01ec64.pth"
SAM3 = "sam3.1_multiplex_fp16.safetensors"
FILL = "flux1-fill-dev.safetensors"
CLIP_L, T5 = "clip_l.safetensors", "t5xxl_fp16.safetensors"
AE = "ae.safetensors"
Z_IMAGE, QWEN_3 = "z_image_turbo_bf16.safetensors", "qwen_3_4b.safetensors"
EDIT = "qwen_image_edit_2509_fp8_e4m3fn.safetensors"
LIGHTNING = "Qwen-Image-Edit-2509-Lightning-4steps-V1.0-bf16.safetensors"
QWEN_VL, QWEN_VAE = "qwen_2.5_vl_7b_fp8_scaled.safetensors", "qwen_image_vae.safetensors"
WHERE = {
    SD15: ("checkpoints", "webui/stable-diffusion-inpainting/resolve/main/"),
    SDXL: ("checkpoints", "stabilityai/stable-diffusion-xl-base-1.0/resolve/main/"),
    SAM: ("sams", "ybelkada/segment-anything/resolve/main/checkpoints/"),
    SAM3: ("checkpoints", "Comfy-Org/sam3.1/resolve/main/checkpoints/"),
    FILL: ("diffusion_models", "Comfy-Org/flux1-dev/resolve/main/split_files/diffusion_models/"),
    CLIP_L: ("text_encoders", "comfyanonymous/flux_text_encoders/resolve/main/"),
    T5: ("text_encoders", "comfyanonymous/flux_text_encoders/resolve/main/"),
    AE: ("vae", "Comfy-Org/z_image_turbo/resolve/main/split_files/vae/"),
    Z_IMAGE: (
        "diffusion_models", "Comfy-Org/z_image_turbo/resolve/main/split_files/diffusion_models/",
    ),
    QWEN_3: ("text_encoders", "Comfy-Org/z_image_turbo/resolve/main/split_files/text_encoders/"),
    EDIT: (
        "diffusion_models",
        "Comfy-Org/Qwen-Image-Edit_ComfyUI/resolve/main/split_files/diffusion_models/",
    ),
    LIGHTNING: ("loras", "lightx2v/Qwen-Image-Lightning/resolve/main/Qwen-Image-Edit-2509/"),
    QWEN_VL: (
        "text_encoders", "Comfy-Org/Qwen-Image_ComfyUI/resolve/main/split_files/text_encoders/",
    ),
    QWEN_VAE: ("vae", "Comfy-Org/Qwen-Image_ComfyUI/resolve/main/split_files/vae/"),
}  # fmt: skip
HASHES = {SAM: "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"}


def model(*names: str) -> dict[str, Any]:
    """What lets the page offer a download."""
    return {"models": [_download(name) for name in names]}


def _download(name: str) -> dict[str, str]:
    folder, place = WHERE[name]
    found = {"name": name, "url": HUB + place + name, "directory": folder}
    if name in HASHES:
        found |= {"hash": HASHES[name], "hash_type": "SHA256"}
    return found


def loaded(draw: Drawn, checkpoint: str) -> tuple[dict[str, Any], Any, Any]:
    """A photograph, a checkpoint and SAM: parts, picture, SAM_MODEL."""
    picture = draw.add("LoadImage", (20, 380), (340, 330), image="example.png")
    load = draw.add(
        "CheckpointLoaderSimple", (20, 770), (340, 100), ckpt_name=checkpoint,
        properties=model(checkpoint),
    )  # fmt: skip
    sam = draw.add("RefDiffLoadSAM", (20, 930), (340, 60), file=SAM, properties=model(SAM))
    parts = {"model": (load, "MODEL"), "clip": (load, "CLIP"), "vae": (load, "VAE")}
    return parts, (picture, "IMAGE"), (sam, "SAM_MODEL")


def texts(draw: Drawn, parts: Mapping[str, Any], yes: str, x: int) -> tuple[int, int]:
    return (
        draw.add("CLIPTextEncode", (x, 20), (320, 120), "What to paint there",
                 clip=parts["clip"], text=yes),
        draw.add("CLIPTextEncode", (x, 200), (320, 120), "What not to paint",
                 clip=parts["clip"], text="blurry, text, watermark"),
    )  # fmt: skip


def sample(
    draw: Drawn, at: tuple[int, int], model: Any, pair: tuple[Any, Any], latent: Any,
    way: tuple[str, str], **how: Any,
) -> int:  # fmt: skip
    """A KSampler. pair: the conditionings. way: sampler and scheduler. how: steps, cfg and more."""
    return draw.add(
        "KSampler", at, (300, 270), model=model, positive=pair[0], negative=pair[1],
        latent_image=latent, sampler_name=way[0], scheduler=way[1],
        **{"seed": 1, "denoise": 1.0, **how},
    )  # fmt: skip


def keep(
    draw: Drawn, at: tuple[int, int], parts: Mapping[str, Any], sampled: int, picture: Any,
    mask: Any, prefix: str, resize_source: bool = True,
) -> int:  # fmt: skip
    """Decode, keep everything but the mask, save what was kept."""
    x, y = at
    decoded = draw.add("VAEDecode", at, (300, 60), samples=(sampled, "LATENT"), vae=parts["vae"])
    kept = draw.add(
        "ImageCompositeMasked", (x, y + 120), (300, 160), "Keep everything else", x=0, y=0,
        destination=picture, source=(decoded, "IMAGE"), mask=mask, resize_source=resize_source,
    )  # fmt: skip
    draw.add(
        "SaveImage", (x + 360, y - 330), (460, 480), images=(kept, "IMAGE"), filename_prefix=prefix
    )
    return kept
