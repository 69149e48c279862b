"""What has to run for so many expressions: by the published code, and by anybody at all.

The same modules run both, on the CPU, on a GPU, or on the meta device, where they are only counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from refdiff_core.backends.checkpoints import StableDiffusion
from refdiff_core.backends.clip_scorer import ClipModel
from refdiff_core.backends.clip_texts import encode_texts
from refdiff_core.backends.diffusers_attention import encode_pixels, encode_text
from refdiff_core.backends.official import TIMESTEPS
from refdiff_core.backends.precision import autocast
from refdiff_core.backends.sam_proposer import SamProposer
from refdiff_core.backends.tokens import tokenize
from refdiff_core.backends.unet_layers import capturing, layers_read
from refdiff_core.seeing.capture import Capture, PassComplete
from refdiff_core.settings import AUTOMATIC, OFFICIAL, ClipSettings, SamSettings

PUBLISHED_SIDE = OFFICIAL.attention.resolution or 1024
"""Pixels of the square that the published code looks at."""

REGIONS = 40
"""Proposals that CLIP looks at: about what passes the filters of Segment Anything."""

OWN = 2
"""Of these, the ones that an expression's own prompts found."""

TEXT, AUTOENCODER, DENOISER = "text", "autoencoder", "denoiser"
SAM_PICTURE, SAM_PROMPTS = "SAM, picture", "SAM, prompts"
CLIP_CROPS, CLIP_PICTURE, CLIP_TEXT = "CLIP, crops", "CLIP, picture", "CLIP, text"
HALVES = {
    "generative": (TEXT, AUTOENCODER, DENOISER),
    "proposals": (SAM_PICTURE, SAM_PROMPTS),
    "discriminative": (CLIP_CROPS, CLIP_PICTURE, CLIP_TEXT),
}
"""The stages of each part of the method."""


@dataclass(frozen=True)
class Part:
    """A piece of work that runs several times over.

    stage: such as "denoiser".
    work: what is run, such as "2 x 512 px, whole"; the same work is timed once, whoever does it.
    run: does it once.
    times: how often it is due.
    """

    stage: str
    work: str
    run: Callable[[], object]
    times: int = 1

    @property
    def name(self) -> str:
        """Stage and work."""
        return f"{self.stage}, {self.work}"


class Ends(Capture):
    """Ends a pass where the last layer's keys are there, and records nothing."""

    def record(self, layer: str, *_: Any, **__: Any) -> None:
        self.pending.discard(layer)
        if not self.pending:
            raise PassComplete


def diffusion_floor(model: StableDiffusion, side: int, expressions: int) -> list[Part]:
    """One encode of a square picture, one pass up to the last layer that is read."""
    texts = [tokenize("the red cup on the left")] * expressions
    layers = layers_read(model.unet, model.family)

    def denoise() -> None:
        with capturing(model.unet, Ends(layers, torch.zeros(0))):
            run_denoiser(model, side, expressions)

    return [
        Part(TEXT, f"{expressions} texts", lambda: encode_text(model, texts)),
        Part(AUTOENCODER, f"{side} px", lambda: encode(model, side)),
        Part(DENOISER, f"{expressions} x {side} px, cut short", denoise),
    ]


@torch.inference_mode()
def warm_up(model: StableDiffusion, side: int) -> None:
    """Run the floor once, so that what a process does but once is in nobody's time."""
    for part in diffusion_floor(model, side, 1):
        part.run()


def diffusion_published(
    model: StableDiffusion, expressions: int, side: int = PUBLISHED_SIDE
) -> list[Part]:
    """Two whole passes over text and empty text, and all of it again for the next expression."""
    texts = [tokenize(""), tokenize("the red cup on the left, ")]
    steps = len(TIMESTEPS) * expressions
    return [
        Part(TEXT, "2 texts", lambda: encode_text(model, texts), expressions),
        Part(AUTOENCODER, f"{side} px", lambda: encode(model, side), expressions),
        Part(DENOISER, f"2 x {side} px, whole", lambda: run_denoiser(model, side, 2), steps),
    ]


def encode(model: StableDiffusion, side: int, pictures: int = 1) -> Tensor:
    """Latents of grey squares, all in one pass."""
    grey = torch.full((pictures, 3, side, side), 0.5)
    return encode_pixels(model.vae, grey.to(_like(model.vae)))


def run_denoiser(model: StableDiffusion, side: int, rows: int) -> None:
    """One call of the denoiser."""
    like = _like(model.unet)
    factor = 2 ** (len(model.vae.config.block_out_channels) - 1)
    latents = torch.zeros(rows, 4, side // factor, side // factor).to(like)
    text = torch.zeros(rows, 77, model.family.context).to(like)
    extra = None
    if model.family.size_conditioning:
        pooled, ids = torch.zeros(rows, 1280).to(like), torch.zeros(rows, 6).to(like)
        extra = {"text_embeds": pooled, "time_ids": ids}
    step = torch.full((), TIMESTEPS[0], device=like.device)
    model.unet(latents, step, text, added_cond_kwargs=extra)


def sam_floor(
    sam: Any,
    expressions: int,
    settings: SamSettings = SamSettings(),
    batch: int | None = None,
    again: int = 1,
    dtype: torch.dtype | None = None,
) -> list[Part]:
    """One embedding, the grid's points once, each expression's own.

    Args:
        sam: the model.
        expressions: how many.
        settings: how it is asked.
        batch: prompts decoded at once; None takes what suits the device.
        again: how often all of it is done.
        dtype: for the encoder to compute in, as for `SamProposer`.
    """
    prompts = settings.points_per_side**2 + settings.peaks * expressions
    batch = batch or SamProposer(sam, settings).prompts_at_once()
    whole, rest = divmod(prompts, batch)
    batches = {batch: whole, rest: 1 if rest else 0}
    return [Part(SAM_PICTURE, "one", lambda: embed_picture(sam, dtype), again)] + [
        Part(SAM_PROMPTS, f"{size}", lambda size=size: decode(sam, size), times * again)
        for size, times in batches.items()
        if times
    ]


def sam_published(sam: Any, expressions: int, dtype: torch.dtype | None = None) -> list[Part]:
    """The package's grid of 32 x 32 points, for every expression."""
    return sam_floor(sam, 0, AUTOMATIC, AUTOMATIC.batch, expressions, dtype)


def embed_picture(sam: Any, dtype: torch.dtype | None = None, pictures: int = 1) -> Tensor:
    """The embeddings of black pictures, all in one pass."""
    side, like = sam.image_encoder.img_size, _like(sam)
    with autocast(like, dtype):
        return sam.image_encoder(torch.zeros(pictures, 3, side, side).to(like))


def decode(sam: Any, prompts: int) -> Tensor:
    """Three masks of each of so many points."""
    encoder, like = sam.prompt_encoder, _like(sam)
    grid_hw = encoder.image_embedding_size
    embedding = torch.zeros(1, encoder.embed_dim, *grid_hw).to(like)
    if like.is_meta:
        # the prompt encoder picks points by their labels' values, which are not there
        sparse = torch.zeros(prompts, 2, encoder.embed_dim).to(like)
        dense = torch.zeros(prompts, encoder.embed_dim, *grid_hw).to(like)
    else:
        points = torch.full((prompts, 1, 2), 100.0).to(like)
        labels = torch.ones(prompts, 1, dtype=torch.int, device=like.device)
        sparse, dense = encoder(points=(points, labels), boxes=None, masks=None)
    masks, _ = sam.mask_decoder(
        image_embeddings=embedding,
        image_pe=encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    return masks


def clip_floor(clip: ClipModel, expressions: int, crops_at_once: int = REGIONS) -> list[Part]:
    """Every region once, in batches, and one pass over the whole picture."""
    longest, regions = longest_side(clip), REGIONS + OWN * (expressions - 1)
    size = min(crops_at_once, regions)
    whole, rest = divmod(regions, size)
    batches = {size: whole, rest: 1 if rest else 0}
    return [
        *(
            Part(CLIP_CROPS, f"{size} at once", lambda size=size: crops(clip, size), times)
            for size, times in batches.items()
            if times
        ),
        Part(
            CLIP_PICTURE,
            f"{longest} patches a side, {regions} regions",
            lambda: soft_pass(clip, longest, regions),
        ),
        Part(CLIP_TEXT, "2 texts, unpadded", lambda: short_texts(clip), expressions),
    ]


def longest_side(clip: ClipModel) -> int:
    """Patches along the longer side of a whole picture, as we show it."""
    return round(ClipSettings().zoom * clip.size / clip.model.visual.patch_size[0])


def clip_published(clip: ClipModel, expressions: int, side: int) -> list[Part]:
    """One crop after the other, for every expression; the picture at its native size."""
    longest = side // clip.model.visual.patch_size[0]

    def one_by_one() -> None:
        for _ in range(8):
            crops(clip, 1)

    return [
        Part(CLIP_CROPS, "8 one by one", one_by_one, REGIONS // 8 * expressions),
        Part(
            CLIP_PICTURE, f"{longest} patches a side", lambda: soft_pass(clip, longest), expressions
        ),
        Part(CLIP_TEXT, "2 texts", lambda: texts(clip), expressions),
    ]


def crops(clip: ClipModel, count: int) -> Tensor:
    """So many regions, cut out and resized before."""
    like = _like(clip.model.visual.conv1)
    return clip.model.encode_image(torch.zeros(count, 3, clip.size, clip.size).to(like))


def soft_pass(clip: ClipModel, longest: int | None = None, regions: int = REGIONS) -> Tensor:
    """A square of patches, the class token and one more for every region."""
    longest = longest or longest_side(clip)
    visual, like = clip.model.visual, _like(clip.model.visual.conv1)
    tokens = 1 + regions + longest**2
    width = visual.class_embedding.shape[0]
    blocked = torch.zeros(tokens, tokens).to(like)
    return visual.transformer(torch.zeros(1, tokens, width).to(like), attn_mask=blocked)


TEXTS = ("the red cup on the left", "red cup")
"""A sentence and its noun phrase."""


def texts(clip: ClipModel) -> Tensor:
    """One text after the other, each filled up."""
    ids = clip.tokenizer(TEXTS).to(_like(clip.model).device)
    return torch.cat([clip.model.encode_text(each) for each in ids.split(1)])


def short_texts(clip: ClipModel) -> Tensor:
    """Both at once, as long as they are."""
    return encode_texts(clip.model, clip.tokenizer(TEXTS), _like(clip.model).device)


def _like(module: Any) -> Tensor:
    """A parameter, whose type and place the inputs take."""
    return next(module.parameters())
