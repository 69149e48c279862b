"""The checkpoint families: what each is built like, and how a file tells which one it is.

Configurations travel with the package, so that nothing is ever looked up on a hub.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ..demo import architectures as demo
from ..errors import ModelError
from .weights import StateDict, described

Config = Mapping[str, Any]
Layer = TypeVar("Layer")

UNET = "model.diffusion_model."


@dataclass(frozen=True)
class TextEncoder:
    """One text encoder of a family.

    prefix: where its weights lie in the original single-file layout.
    subfolder: its place in a diffusers folder.
    config: of transformers' CLIPTextModel.
    open_clip: the file holds it in open_clip's layout rather than in transformers'.
    pad: the id that fills a text up to 77 tokens.
    hidden: which hidden state is read, counted from the end; -1 is normalised, others are raw.
    projected: it also gives the pooled, projected text (SDXL's second encoder).
    """

    prefix: str
    subfolder: str
    config: Config
    open_clip: bool = False
    pad: int = 49407
    hidden: int = -1
    projected: bool = False


@dataclass(frozen=True)
class Grid:
    """Cross-attention layers that see a picture in cells of one size.

    factor: their grid is the latent grid divided by this.
    share: what they count for together, however many they are.
    way_up: those on the way up are read, too; else a pass need not go that far.
    """

    factor: int
    share: float
    way_up: bool = True


@dataclass(frozen=True)
class Family:
    """What all checkpoints of one kind share.

    context: width of the text that the denoiser reads; with channels it tells the family.
    resolution: side in pixels of the square that the model was trained at.
    multiple: sides of a picture are brought to multiples of this many pixels, so that every
        level of autoencoder and denoiser halves evenly.
    timestep: where attention is read. 100 is the paper's t = 2 of 20 steps (METHOD.md 1b: 101);
        the demo's was chosen on scenes outside the benchmark, before layers were brought to one
        scale; docs/maps.md has what others choose now.
    grid_factor: the paper's layers lie on the latent grid divided by this. 4 is the published
        code's choice for SD 1.x (METHOD.md 1b: "ds=4"), and the one that carries most meaning
        (METHOD.md 3c, idea 7).
    grids: what is read where every layer is brought to one scale; of those of `grid_factor` alone
        where there are none.
    longest: of a picture's sides in pixels, where the model has no places for more.
    """

    name: str
    channels: int
    context: int
    unet: Config
    vae: Config
    text_encoders: tuple[TextEncoder, ...]
    resolution: int
    multiple: int
    grid_factor: int
    timestep: int = 100
    size_conditioning: bool = field(default=False)
    longest: int | None = None
    grids: tuple[Grid, ...] = ()

    def shares(
        self,
        layers_on: Callable[[int], Iterable[Layer]],
        is_up: Callable[[Layer], bool],
        *,
        even: bool = True,
    ) -> dict[Layer, float]:
        """The layers to read, and what each counts for.

        Args:
            layers_on: a model's layers whose grid is the latent grid divided by a factor.
            is_up: whether a layer is on the way up.
            even: all of `grids`; else the layers of the main one, all alike, as in the paper.
        """
        found: dict[Layer, float] = {}
        for grid in (even and self.grids) or (Grid(self.grid_factor, 1.0),):
            own = [each for each in layers_on(grid.factor) if grid.way_up or not is_up(each)]
            found |= dict.fromkeys(own, grid.share / max(1, len(own)))
        return found


_VAE: Config = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 512,
    "scaling_factor": 0.18215,
}
_CLIP_L: Config = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
    "hidden_act": "quick_gelu",
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 49407,
}
# SD 2.x reads the last layer but one; diffusers says so by leaving the last layer out.
_OPEN_CLIP_H: Config = {
    **_CLIP_L,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "projection_dim": 512,
    "hidden_act": "gelu",
}
_OPEN_CLIP_G: Config = {
    **_CLIP_L,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}

_DIFF_SEGMENTER = (
    Grid(8, 0.3),
    Grid(4, 0.5),
    Grid(2, 0.1, way_up=False),
    Grid(1, 0.1, way_up=False),
)
"""DiffSegmenter's shares (arXiv 2309.02773: .3 / .5 / .1 / .1 for 8 / 16 / 32 / 64 cells at 512
pixels). The fine grids' way up would make the pass about twice as long for a tenth each, of layers
that others leave out (iSeg reads 16 and 32; arXiv 2608.26624 is best with 8 and 16): left out."""

SD1 = Family(
    name="Stable Diffusion 1.x",
    channels=320,
    context=768,
    unet={"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    vae=_VAE,
    text_encoders=(TextEncoder("cond_stage_model.transformer.", "text_encoder", _CLIP_L),),
    resolution=512,
    multiple=64,
    grid_factor=4,
    grids=_DIFF_SEGMENTER,
)
SD2 = Family(
    name="Stable Diffusion 2.x",
    channels=320,
    context=1024,
    unet={
        "sample_size": 96,
        "cross_attention_dim": 1024,
        "attention_head_dim": (5, 10, 20, 20),
        "use_linear_projection": True,
    },
    vae=_VAE,
    text_encoders=(
        TextEncoder("cond_stage_model.model.", "text_encoder", _OPEN_CLIP_H, open_clip=True, pad=0),
    ),
    resolution=768,
    multiple=64,
    grid_factor=4,
    grids=_DIFF_SEGMENTER,
)
SDXL = Family(
    name="Stable Diffusion XL",
    channels=320,
    context=2048,
    unet={
        "sample_size": 128,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (320, 640, 1280),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    vae={**_VAE, "sample_size": 1024, "scaling_factor": 0.13025},
    text_encoders=(
        TextEncoder("conditioner.embedders.0.transformer.", "text_encoder", _CLIP_L, hidden=-2),
        TextEncoder(
            "conditioner.embedders.1.model.",
            "text_encoder_2",
            _OPEN_CLIP_G,
            open_clip=True,
            pad=0,
            hidden=-2,
            projected=True,
        ),
    ),
    resolution=1024,
    multiple=32,
    grid_factor=4,
    # 60 layers on the one and 10 on the other count alike: GoCA (arXiv 2603.06178) reads both and
    # weighs them by heads, and nobody has published fixed shares
    grids=(Grid(4, 0.5), Grid(2, 0.5)),
    size_conditioning=True,
)
DEMO = Family(
    name="the bundled demo model",
    channels=demo.DENOISER_CONFIG["block_out_channels"][0],
    context=demo.DENOISER_CONFIG["cross_attention_dim"],
    unet=demo.DENOISER_CONFIG,
    vae={**demo.AUTOENCODER_CONFIG, "scaling_factor": demo.SCALING_FACTOR},
    text_encoders=(
        TextEncoder("cond_stage_model.transformer.", "text_encoder", demo.TEXT_ENCODER_CONFIG),
    ),
    resolution=128,
    multiple=16,
    grid_factor=2,
    timestep=500,
)

FAMILIES = (SD1, SD2, SDXL, DEMO)


def identify(state: StateDict, source: str) -> Family:
    """Which family a single-file checkpoint belongs to, from the shapes of its weights.

    Raises:
        ModelError: the file is no Stable Diffusion checkpoint, or of a family not known here.
    """
    first = state.get(UNET + "input_blocks.0.0.weight")
    keys = (key for key in state if key.startswith(UNET) and key.endswith("attn2.to_k.weight"))
    text_key = next(keys, None)
    if first is None or text_key is None or first.ndim != 4 or state[text_key].ndim != 2:
        raise ModelError(
            f"'{source}' is not a Stable Diffusion checkpoint in the original single-file layout: "
            f"it has no UNet with cross-attention{described(state)}. {_KNOWN}"
        )
    return family_of(first.shape[0], state[text_key].shape[1], source)


def family_of(channels: int, context: int, source: str) -> Family:
    """The family with these widths.

    Raises:
        ModelError: there is none.
    """
    for family in FAMILIES:
        if (family.channels, family.context) == (channels, context):
            return family
    raise ModelError(
        f"'{source}' is of an unknown family: {channels} channels, text of width {context}. "
        + _KNOWN
    )


def trained_at(family: Family, *, v_prediction: bool) -> Family:
    """The family with the resolution its weights were trained at: SD 2.x has two.

    Its v-prediction weights saw 768 pixels, those that predict the noise 512.
    """
    return replace(family, resolution=512) if family is SD2 and not v_prediction else family


_KNOWN = "Use a checkpoint of Stable Diffusion 1.x, 2.x or XL, inpainting variants included."
