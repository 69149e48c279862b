"""The demo CLIP: colours, shapes and sizes of cut-out objects, and captions of pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from open_clip import CLIP
from torch import Tensor
from torch.nn import functional as F

from refdiff_core.demo.architectures import CLIP_IMAGE_SIZE, build_clip
from refdiff_core.demo.scenes import COLORS, SHAPES, Scene, caption, expressions
from training.crops import SURROUNDS, crop, normalise, patch_masks, random_crop, whole, whole_size
from training.dataset import HELD_OUT_SCENES, Bucket, held_out, load_buckets
from training.loop import (
    Progress,
    RunningMean,
    arguments,
    descend,
    learning_rate,
    pixels,
    set_learning_rate,
)
from training.words import Words

log = logging.getLogger("refdiff.training")

NAMES = tuple(f"{color} {shape}" for color in COLORS for shape in SHAPES)
TEMPLATES = ("a {}", "the {}", "a photo of a {}", "{}", "an image of the {}", "a picture of a {}")
SHORT = 32
CAPTION_SHARE = 0.12
KINDS = ("attribute", "shape", "color", "size", "position")


@dataclass(frozen=True)
class Leg:
    """A part of the training, with an optimiser of its own.

    decay: over how many steps at the end the rate falls.
    masked_share: share of batches whose class token sees only the patches in a mask.
    """

    steps: int
    decay: int
    masked_share: float


# Crops first, at one rate; then masked class tokens half of the time, down to a low one.
LEGS = (Leg(1_000, 1, 0.18), Leg(700, 500, 0.5))


@dataclass(frozen=True)
class Pool:
    """Where every colour and shape occurs: name to (bucket, scene, object) triples."""

    buckets: list[Bucket]
    places: dict[str, list[tuple[int, int, int]]]

    @classmethod
    def of(cls, buckets: list[Bucket]) -> Pool:
        places: dict[str, list[tuple[int, int, int]]] = {name: [] for name in NAMES}
        for b, bucket in enumerate(buckets):
            for s, objects in enumerate(bucket.objects):
                for o, item in enumerate(objects):
                    places[item.name].append((b, s, o))
        return cls(buckets, places)

    def one_of_each(self, rng: np.random.Generator) -> list[tuple[Scene, int]]:
        """A scene and an object for each of ``NAMES``."""
        chosen = [self.places[name][rng.integers(len(self.places[name]))] for name in NAMES]
        return [(self.buckets[b].scene(s), o) for b, s, o in chosen]


class TextSide:
    """Encodes texts of the training vocabulary at whatever length they need."""

    def __init__(self, model: CLIP, words: Words) -> None:
        self.model, self.words = model, words

    def __call__(self, texts: Sequence[str]) -> Tensor:
        model, rows = self.model, self.words.rows(texts, SHORT, padding=0)
        x = model.token_embedding(rows) + model.positional_embedding[:SHORT]
        x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:SHORT, :SHORT]))
        # The end word has the highest number, in the small table as in CLIP's own.
        pooled = x[torch.arange(len(rows)), rows.argmax(-1)]
        return F.normalize((pooled @ model.text_projection).float(), dim=-1)


def encode_masked(model: CLIP, images: Tensor, masks: Tensor) -> Tensor:
    """Whole pictures whose class token sees only the patches in a mask.

    Args:
        images: normalised, float32 (B, 3, H, W).
        masks: bool (B, h, w), in patches.

    Returns:
        float32 (B, 64), unit length.
    """
    visual = model.visual
    x = visual.conv1(images).flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1).to(x.dtype), x], 1)
    x = visual.ln_pre(x + interpolated_positions(visual.positional_embedding, masks.shape[1:]))
    hidden = torch.zeros(len(x), x.shape[1], x.shape[1])
    hidden[:, 0, 1:].masked_fill_(~masks.flatten(1), float("-inf"))
    heads = visual.transformer.resblocks[0].attn.num_heads
    x = visual.transformer(x, attn_mask=hidden.repeat_interleave(heads, 0))
    return F.normalize((visual.ln_post(x)[:, 0] @ visual.proj).float(), dim=-1)


def interpolated_positions(table: Tensor, size_hw: Sequence[int]) -> Tensor:
    """The position table on another grid, bicubic; the class token's row stays."""
    side = round((len(table) - 1) ** 0.5)
    grid = table[1:].T.unflatten(1, (side, side))[None]
    grid = F.interpolate(grid, tuple(size_hw), mode="bicubic", align_corners=False)
    return torch.cat([table[:1], grid[0].flatten(1).T])


def _encode_images(model: CLIP, images: Tensor) -> Tensor:
    return F.normalize(model.encode_image(images).float(), dim=-1)


def _fill(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    return [TEMPLATES[rng.integers(len(TEMPLATES))].format(text) for text in texts]


class Losses:
    """The three kinds of batches, each with its contrastive loss."""

    def __init__(self, model: CLIP, pool: Pool, words: Words, masked_share: float) -> None:
        self.model, self.pool, self.encode_texts = model, pool, TextSide(model, words)
        self.shares = (1 - CAPTION_SHARE - masked_share, masked_share, CAPTION_SHARE)
        self.colors = torch.arange(len(NAMES)) // len(SHAPES)
        self.shapes = torch.arange(len(NAMES)) % len(SHAPES)

    def draw(self, rng: np.random.Generator) -> tuple[str, Tensor]:
        """One batch's kind and loss."""
        kind = ("crops", "masked", "captions")[rng.choice(3, p=self.shares)]
        return kind, getattr(self, f"_{kind}")(rng)

    def _crops(self, rng: np.random.Generator) -> Tensor:
        chosen = self.pool.one_of_each(rng)
        images = normalise(pixels([random_crop(s, o, rng) for s, o in chosen]))
        features = _encode_images(self.model, images)
        # Crops have lost the size; the words for it must not disturb the rest.
        sizes = rng.choice(["", "", "large ", "small "], len(NAMES))
        names = [size + name for size, name in zip(sizes, NAMES, strict=True)]
        logits = self._logits(features, self._names(names, rng))
        return self._named(logits, self.colors, self.shapes) + F.cross_entropy(
            logits[:, : len(NAMES)].T, torch.arange(len(NAMES))
        )

    def _masked(self, rng: np.random.Generator) -> Tensor:
        bucket = self.pool.buckets[rng.integers(len(self.pool.buckets))]
        scenes = [bucket.scene(int(i)) for i in rng.integers(len(bucket), size=16)]
        targets = [int(rng.integers(len(scene.masks))) for scene in scenes]
        items = [scene.objects[t] for scene, t in zip(scenes, targets, strict=True)]
        size = whole_size(bucket.size_hw)
        masks = np.stack([scene.masks[t] for scene, t in zip(scenes, targets, strict=True)])
        images = whole([scene.image for scene in scenes], size)
        features = encode_masked(self.model, images, patch_masks(masks, size))
        logits = self._logits(features, self._names(list(NAMES), rng))
        colors = torch.tensor([list(COLORS).index(item.color) for item in items])
        shapes = torch.tensor([SHAPES.index(item.shape) for item in items])
        sized = [f"{size} {item.name}" for item in items for size in ("large", "small")]
        pairs = self.encode_texts(_fill(sized, rng)).unflatten(0, (-1, 2))
        size_logits = self._scale() * torch.einsum("bd,bsd->bs", features, pairs)
        sizes = torch.tensor([int(item.size == "small") for item in items])
        return 2 * self._named(logits, colors, shapes) + F.cross_entropy(size_logits, sizes)

    def _captions(self, rng: np.random.Generator) -> Tensor:
        bucket = self.pool.buckets[rng.integers(len(self.pool.buckets))]
        scenes = [bucket.scene(int(i)) for i in rng.integers(len(bucket), size=32)]
        images = whole([scene.image for scene in scenes], (CLIP_IMAGE_SIZE, CLIP_IMAGE_SIZE))
        texts = self.encode_texts([caption(scene, rng) for scene in scenes])
        logits = self._logits(_encode_images(self.model, images), texts)
        # Other pictures may fit a short caption too, so the targets are softened.
        wanted = torch.arange(len(scenes))
        loss = F.cross_entropy(logits, wanted, label_smoothing=0.2)
        return loss + F.cross_entropy(logits.T, wanted, label_smoothing=0.2)

    def _names(self, names: list[str], rng: np.random.Generator) -> Tensor:
        colors = [f"{color} shape" for color in COLORS]
        return self.encode_texts(_fill([*names, *colors, *SHAPES], rng))

    def _named(self, logits: Tensor, colors: Tensor, shapes: Tensor) -> Tensor:
        """Cross-entropy over full names, colours alone and shapes alone."""
        both, by_color, by_shape = logits.split([len(NAMES), len(COLORS), len(SHAPES)], 1)
        loss = F.cross_entropy(both, colors * len(SHAPES) + shapes)
        return loss + 0.5 * F.cross_entropy(by_color, colors) + F.cross_entropy(by_shape, shapes)

    def _scale(self) -> Tensor:
        return self.model.logit_scale.exp().clamp(max=100)

    def _logits(self, features: Tensor, texts: Tensor) -> Tensor:
        return self._scale() * features @ texts.T


def _sine_positions(side: int, width: int) -> Tensor:
    """2-D sine and cosine waves; from random tables shapes stay at chance for long."""
    frequency = 100.0 ** -(np.arange(width // 4) / (width // 4))
    y, x = (p.reshape(-1, 1) * frequency for p in np.mgrid[:side, :side])
    waves = np.concatenate([np.sin(y), np.cos(y), np.sin(x), np.cos(x)], 1)
    return torch.from_numpy(waves).float()


def new_model(words: Words) -> CLIP:
    """A fresh CLIP with the small word table."""
    model = build_clip(len(words))
    with torch.no_grad():
        side = model.visual.grid_size[0]
        width = model.visual.positional_embedding.shape[1]
        model.visual.positional_embedding[1:] = 0.3 * _sine_positions(side, width)
        model.visual.positional_embedding[0] = 0
        model.visual.conv1.weight.mul_(2)
    return model


def clip_words(buckets: list[Bucket]) -> Words:
    """The words of all templates, names and captions."""
    rng = np.random.default_rng(0)
    captions = [caption(b.scene(i), rng) for b in buckets for i in range(0, len(b), 4)]
    names = [f"{size} {NAMES[0]} shape" for size in ("large", "small")]
    return Words([*captions, *TEMPLATES, *NAMES, *names])


@torch.no_grad()
def report(
    model: CLIP,
    encode_texts: Callable[[Sequence[str]], Tensor],
    surround: str,
    scenes: int = HELD_OUT_SCENES,
) -> dict[str, float]:
    """Share of held-out expressions for which the right mask's crop scores highest.

    ``surround`` may be ``"class token"`` for whole pictures with a masked class token.
    """
    model.eval()
    hits: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for scene in held_out(scenes):
        if surround == "class token":
            size = whole_size(scene.image.shape[:2])
            images = whole([scene.image] * len(scene.masks), size)
            features = encode_masked(model, images, patch_masks(scene.masks, size))
        else:
            cuts = [crop(scene.image, mask, surround) for mask in scene.masks]
            features = _encode_images(model, normalise(pixels(cuts)))
        asked = [e for e in expressions(scene) if e.kind in KINDS]
        if asked:
            picked = (encode_texts([e.text for e in asked]) @ features.T).argmax(1)
            for expression, pick in zip(asked, picked.tolist(), strict=True):
                hits[expression.kind].append(pick == expression.target)
    return {kind: float(np.mean(found)) for kind, found in hits.items()}


def log_report(
    model: CLIP,
    encode_texts: Callable[[Sequence[str]], Tensor],
    scenes: int = HELD_OUT_SCENES,
) -> None:
    """Log the held-out figures for every way of showing an object."""
    for surround in (*SURROUNDS, "class token"):
        figures = report(model, encode_texts, surround, scenes)
        log.info("%s: %s", surround, " ".join(f"{k} {v:.3f}" for k, v in figures.items()))


def _train(losses: Losses, leg: Leg, rate: float, seed: int) -> RunningMean:
    """One leg; the model is left with its last weights, whose running mean is returned."""
    parameters = list(losses.model.parameters())
    optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.98), weight_decay=0.02, fused=True)
    mean, progress = RunningMean(parameters, 0.998), Progress(100)
    for step in range(leg.steps):
        rng = np.random.default_rng((seed, step))
        set_learning_rate(optimizer, learning_rate(step, leg.steps, rate, decay=leg.decay))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            kind, loss = losses.draw(rng)
        descend(loss, optimizer, parameters)
        mean.update()
        progress.add(step, **{kind: float(loss.detach())})
    return mean


def main() -> None:
    """Train the demo CLIP."""
    options = arguments(main.__doc__, rate=1e-3, seed=0)
    torch.manual_seed(options.seed)
    buckets = load_buckets(options.work)
    words, pool = clip_words(buckets), Pool.of(buckets)
    model = new_model(words).train()
    for number, leg in enumerate(LEGS):
        losses = Losses(model, pool, words, leg.masked_share)
        mean = _train(losses, leg, options.rate, options.seed + number)
    mean.swap()
    torch.save({"model": model.state_dict(), "ids": words.ids}, options.work / "clip.pt")
    log_report(model, losses.encode_texts)


if __name__ == "__main__":
    main()
