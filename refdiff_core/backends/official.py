"""What the published code computes, for comparison only (METHOD.md 1b, github kodenii/Ref-Diff).

The same seams as our own method, so that one pipeline runs both: attention as logits of two
guided DDIM steps, the ten largest masks of Segment Anything's grid, bare cosines of CLIP. Where
the code has a bug that corrupts its input (colours swapped, results of one sentence used for
another: METHOD.md 1c.1, 1c.2), the intention is computed, not the bug; docs/method.md lists all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as Pillow
from torch import Tensor

from ..errors import UnavailableError
from ..grid import working_grid
from ..pictures.images import scale_to, to_pil
from ..seeing.attention import min_max, word_weights
from ..seeing.capture import Capture
from ..seeing.proposals import mask_boxes
from ..settings import OFFICIAL, AttentionSettings, ClipSettings, SamSettings
from ..values import AttentionMap, Expression, Image, Likeness, Proposals, Word
from .checkpoints import StableDiffusion
from .clip_models import ClipModel, attend
from .clip_scorer import ClipScorer
from .clip_views import blocked_pairs
from .diffusers_attention import alphas_cumprod, encode_text
from .families import DEMO, SD1
from .sam_proposer import Progress, SamProposer
from .tokens import tokenize
from .unet_layers import capturing, layers_on

TIMESTEPS = (51, 1)
"""Of 20 DDIM steps (1, 51, 101, ...), the two that strength .1 leaves. Noise is added for the
third, 101, although the first call is told 51 (METHOD.md 1b)."""
NOISE_TIMESTEP = 101
GUIDANCE = 9.0
MOST_ZOOM = 4.0
"""Sides of CLIP's own input that a picture may be long, so that a large one fits in memory; those
of RefCOCO, 640 pixels, stay below."""


class OfficialAttention:
    """An `AttentionSource` as the published code computes it, one expression at a time.

    Args:
        model: a Stable Diffusion 1.x checkpoint.
        settings: its resolution is the side in pixels of the black-padded square, None for what
            the model was trained at; its seed is that of the latents and the noise, for which the
            published code sets none. The rest is fixed.

    Raises:
        UnavailableError: a checkpoint of another family, which the published code cannot read.
    """

    def __init__(
        self, model: StableDiffusion, settings: AttentionSettings = OFFICIAL.attention
    ) -> None:
        if model.family not in (SD1, DEMO) or model.unet.config.in_channels != 4:
            raise UnavailableError(
                "The published code reads Stable Diffusion 1.x, without inpainting channels, and "
                f"no others; this is {model.family.name} with {model.unet.config.in_channels} "
                "channels. Use such a checkpoint, or other settings."
            )
        self.model = model
        self.seed = settings.seed
        self.side = settings.resolution or model.family.resolution
        self.layers = layers_on(model.unet, model.family.grid_factor)

    @torch.inference_mode()
    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`."""
        return [self._read_one(image, expression) for expression in expressions]

    def _read_one(self, image: Image, expression: Expression) -> AttentionMap:
        text = expression.text + ", "
        word = expression.root or Word(text, 0, len(expression.text))
        tokens = [tokenize(""), tokenize(text)]
        conditions, _ = encode_text(self.model, tokens)
        last_piece = tokens[1].positions(word)[-1]
        # Both rows read the same column: the difference is taken place by place.
        weights = word_weights([[[last_piece]]] * 2, conditions.shape[1])
        layers: list[Tensor] = []
        noisy = self._noisy_latents(image)
        for timestep, previous in zip(TIMESTEPS, (*TIMESTEPS[1:], 0), strict=True):
            capture = Capture(self.layers, weights, logits=True, stop=timestep == TIMESTEPS[-1])
            predicted = None
            with capturing(self.model.unet, capture):
                both = noisy.expand(2, -1, -1, -1)
                predicted = self.model.unet(both, timestep, conditions).sample
            layers += [guide(maps[0, 0], maps[1, 0]) for maps in capture.layer_maps.values()]
            if predicted is not None:
                epsilon = self._noise_in(noisy, guide(*predicted.split(1)), timestep)
                noisy = ddim_step(noisy, epsilon, timestep, previous)
        merged = torch.stack([min_max(layer) for layer in layers]).mean(0)
        size_hw = (image.shape[0], image.shape[1])
        heat = scale_to(unpad(merged.cpu(), size_hw, self.side), working_grid(size_hw))
        return AttentionMap(heat, (word,), merged[None], picture_hw=size_hw)

    def _noise_in(self, noisy: Tensor, predicted: Tensor, timestep: int) -> Tensor:
        """What the model says the noise is; some say the velocity, which the code cannot read."""
        if not self.model.v_prediction:
            return predicted
        signal = float(alphas_cumprod()[timestep])
        epsilon: Tensor = signal**0.5 * predicted + (1 - signal) ** 0.5 * noisy
        return epsilon

    def _noisy_latents(self, image: Image) -> Tensor:
        vae = self.model.vae
        pixels = pad_to_square(image, self.side).permute(2, 0, 1)[None].to(vae.device, vae.dtype)
        generator = torch.Generator().manual_seed(self.seed)
        drawn = vae.encode(pixels * 2 - 1).latent_dist
        mean, deviation = drawn.mean.cpu().float(), drawn.std.cpu().float()
        latents = mean + deviation * torch.randn(mean.shape, generator=generator)
        signal = float(alphas_cumprod()[NOISE_TIMESTEP])
        noise = torch.randn(mean.shape, generator=generator)
        noisy = signal**0.5 * latents * vae.config.scaling_factor + (1 - signal) ** 0.5 * noise
        moved: Tensor = noisy.to(self.model.unet.device, self.model.unet.dtype)
        return moved


def guide(unconditional: Tensor, conditional: Tensor) -> Tensor:
    """Classifier-free guidance, which the published code applies to the attention too."""
    return unconditional + GUIDANCE * (conditional - unconditional)


def ddim_step(noisy: Tensor, epsilon: Tensor, timestep: int, previous: int) -> Tensor:
    """One deterministic DDIM step (eta 0) from ``timestep`` to ``previous``."""
    now, then = (float(alphas_cumprod()[each]) for each in (timestep, previous))
    clean = (noisy - (1 - now) ** 0.5 * epsilon) / now**0.5
    stepped: Tensor = then**0.5 * clean + (1 - then) ** 0.5 * epsilon
    return stepped


def pad_to_square(image: Image, side: int) -> Tensor:
    """A picture (H, W, 3) centred on a black square, then resized with Lanczos."""
    height, width = image.shape[:2]
    longer = max(height, width)
    top, left = (longer - height) // 2, (longer - width) // 2
    square = torch.zeros(longer, longer, 3)
    square[top : top + height, left : left + width] = image
    resized = to_pil(square).resize((side, side), Pillow.Resampling.LANCZOS)
    return torch.from_numpy(np.array(resized)).float() / 255


def unpad(values: Tensor, size_hw: tuple[int, int], side: int) -> Tensor:
    """A map (h, w) of the square back on the picture's grid, through 8 bits and Lanczos.

    Args:
        values: in [0, 1], of which 8 bits are kept as they are.
        size_hw: the picture's.
        side: of the square.

    Returns:
        float32 (H, W) in [0, 1].
    """
    height, width = size_hw
    longer = max(height, width)
    grey = Pillow.fromarray((values * 255).to(torch.uint8).numpy())
    whole = np.array(grey.resize((longer, longer), Pillow.Resampling.LANCZOS))
    top, left = (longer - height) // 2, (longer - width) // 2
    return min_max(torch.from_numpy(whole[top : top + height, left : left + width]).float())


class OfficialProposer(SamProposer):
    """A `MaskProposer`: of the automatic masks the largest ten, none below 10,000 pixels.

    Args:
        sam: a `segment_anything.modeling.Sam`.
        settings: the grid and its filters.
        progress: called between batches.
        smallest: pixels; the published code has 10,000 for RefCOCO and RefCOCO+, 0 for RefCOCOg.
        count: masks kept.
    """

    def __init__(
        self,
        sam: Any,
        settings: SamSettings = OFFICIAL.sam,
        progress: Progress | None = None,
        *,
        smallest: int = 10_000,
        count: int = 10,
    ) -> None:
        super().__init__(sam, settings, progress)
        self.smallest = smallest
        self.count = count

    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """See `MaskProposer.propose`; nothing guides it."""
        (found,) = super().propose(image, [None])
        areas = found.areas * found.size_hw[0] * found.size_hw[1]
        largest = areas.argsort(descending=True, stable=True)[: self.count]
        kept = found.select(largest[areas[largest] > self.smallest])
        return [kept] * len(attention)


class OfficialScorer(ClipScorer):
    """An `ImageTextScorer`: .7 hard + .3 soft, as bare cosines.

    The hard branch hears the sentence and sees a picture darkened along "left" or "right", one
    region after the other; the soft one hears half sentence, half root noun, and sees the picture
    at its own size.
    """

    def __init__(self, clip: ClipModel, settings: ClipSettings = OFFICIAL.clip) -> None:
        super().__init__(clip, settings)

    @torch.inference_mode()
    def score(
        self, image: Image, expressions: Sequence[Expression], proposals: Sequence[Proposals]
    ) -> list[Likeness]:
        """See `ImageTextScorer.score`."""
        scored: list[Likeness] = []
        for expression, candidates in zip(expressions, proposals, strict=True):
            if not len(candidates):
                scored.append(Likeness.of(torch.zeros(0, device=self.device)))
                continue
            sentence = self.embed_texts([expression.text])[0]
            root = self.embed_texts([expression.root.text])[0] if expression.root else sentence
            size_hw = (image.shape[0], image.shape[1])
            masks = [candidates.draw(at, size_hw) for at in range(len(candidates))]
            whole = torch.stack(masks)
            ramp = position_ramp(expression.text, size_hw[1])
            hard = self.embed_hard(image.cpu(), whole, ramp) @ sentence
            # not made a unit vector
            soft = self.embed_soft(image.cpu(), whole) @ (0.5 * sentence + 0.5 * root)
            scored.append(Likeness(torch.stack([hard, soft]), torch.tensor([0.7, 0.3])))
        return scored

    def embed_hard(self, image: Image, masks: Tensor, ramp: Tensor | None = None) -> Tensor:
        """Unit vectors float32 (N, d) of regions on black, cut out along their boxes.

        Through 8 bits, the shorter side brought to the model's own with a bilinear filter.

        Args:
            image: float32 (H, W, 3).
            masks: bool (N, H, W).
            ramp: brightness of each column, from `position_ramp`.
        """
        bright = torch.ones(1) if ramp is None else ramp[:, None]
        darkened = eight_bits(image).double() * bright
        vectors = []
        for mask, box in zip(masks, mask_boxes(masks).int().tolist(), strict=True):
            x0, y0, x1, y1 = box[:2] + [max(box[0] + 1, box[2]), max(box[1] + 1, box[3])]
            crop = (darkened * mask[:, :, None]).to(torch.uint8)[y0:y1, x0:x1]
            shorter, longer = min(crop.shape[:2]), max(crop.shape[:2])
            side = int(min(MOST_ZOOM * self.clip.size, self.clip.size * longer / shorter))
            sides = [self.clip.size if each == shorter else side for each in crop.shape[:2]]
            shown = Pillow.fromarray(crop.numpy())
            shown = shown.resize((sides[1], sides[0]), Pillow.Resampling.BILINEAR)
            vectors.append(self._embed(torch.from_numpy(np.array(shown))))
        return torch.cat(vectors)

    def embed_soft(self, image: Image, masks: Tensor, zoom: float | None = None) -> Tensor:
        """Unit vectors float32 (N, d) of regions of the whole picture at its own size.

        The patches of a region are those whose first pixel, about, it covers; small ones may have
        none. Patches see one another and no class token.
        """
        patch = self.clip.model.visual.patch_size[0]
        shown = eight_bits(image)
        longest = int(MOST_ZOOM * self.clip.size)
        if max(shown.shape[:2]) > longest:
            scale = longest / max(shown.shape[:2])
            size = [max(patch, int(each * scale)) for each in shown.shape[:2]]
            picture = Pillow.fromarray(shown.numpy())
            shown = torch.from_numpy(np.array(picture.resize((size[1], size[0]))))
        grid_hw = (shown.shape[0] // patch, shown.shape[1] // patch)
        inside = F.interpolate(masks[:, None].float(), grid_hw, mode="nearest").flatten(1) > 0
        return self._embed(shown, inside)

    def _embed(self, shown: Tensor, inside: Tensor | None = None) -> Tensor:
        """Unit vectors float32 (N, d) of a picture uint8 (H, W, 3), what is past a patch cut off.

        Args:
            shown: the picture.
            inside: bool (N, T), each region's patches; None for one token that sees all of them
                and that they see.
        """
        visual = self.clip.model.visual
        pixels = self._normalise(shown.permute(2, 0, 1)[None].float().to(self.device) / 255)
        planes = visual.conv1(pixels)  # (1, width, h, w)
        position = positions(visual.positional_embedding, visual.grid_size, planes.shape[2:])
        count = 1 if inside is None else len(inside)
        token = (visual.class_embedding + position[0]).expand(1, count, -1)
        tokens = torch.cat([token, planes.flatten(2).transpose(1, 2) + position[1:]], 1)
        tokens = visual.ln_pre(tokens.to(self._weight.dtype))
        bias = torch.zeros(tokens.shape[1], tokens.shape[1], device=self.device, dtype=tokens.dtype)
        if inside is not None:
            # of `blocked_pairs` all but the picture's own token
            bias = bias.masked_fill(blocked_pairs(inside)[1:, 1:].to(self.device), -torch.inf)
        out = attend(visual.transformer, tokens, bias)
        pooled = visual.ln_post(out[0, :count]) @ visual.proj
        return F.normalize(pooled.float(), dim=-1)


def eight_bits(image: Image) -> Tensor:
    """A picture float32 (H, W, 3) in [0, 1] as it was in its file: uint8."""
    return (image * 255).round().clamp(0, 255).to(torch.uint8)


def positions(table: Tensor, trained_hw: Sequence[int], grid_hw: Sequence[int]) -> Tensor:
    """The position table (1 + T, width) for another grid, scaled by a tenth of a patch too much.

    Args:
        table: the class token first, which stays as it is.
        trained_hw: the grid of the T patches in the table.
        grid_hw: the grid that is wanted.
    """
    if tuple(trained_hw) == tuple(grid_hw):
        return table
    patches = table[1:].unflatten(0, tuple(trained_hw)).permute(2, 0, 1)[None].float()
    scale = tuple((new + 0.1) / old for new, old in zip(grid_hw, trained_hw, strict=True))
    resized = F.interpolate(patches, scale_factor=scale, mode="bicubic")
    return torch.cat([table[:1], resized[0].flatten(1).T.to(table.dtype)])


def position_ramp(text: str, width: int) -> Tensor:
    """Brightness of each column: 1 falling to 0 over two thirds of the width, away from the side.

    Only "left" and "right" are known, found as substrings, left first (METHOD.md 1b, Position).

    Returns:
        float64 (W,) in [0, 1].
    """
    bright = width * 2 // 3
    dark = np.zeros(width - bright)
    # numpy's own steps, for what is cut off to 8 bits turns on the last digit
    if "left" in text:
        return torch.from_numpy(np.concatenate([np.linspace(1, 0, bright), dark]))
    if "right" in text:
        return torch.from_numpy(np.concatenate([dark, np.linspace(0, 1, bright)]))
    return torch.ones(width, dtype=torch.float64)
