"""The U-Net's maps against softmaxes as plain as they come, down to the last bit."""

from contextlib import contextmanager
from functools import partial

import torch

from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.demo.models import DENOISER_FILE
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.language.expression import parse
from refdiff_core.settings import AttentionSettings


@contextmanager
def noting(layers):
    """What the projections of attention modules give, (query, key) layer by layer."""
    found = [{} for _ in layers]

    def note(own, part, _module, _args, output):
        own[part] = output

    handles = [
        getattr(layer, part).register_forward_hook(partial(note, own, part))
        for layer, own in zip(layers, found, strict=True)
        for part in ("to_q", "to_k")
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def test_layers_that_count_alike_give_the_plain_mean_of_plain_softmaxes_bit_for_bit():
    source = DiffusersAttention.load(DENOISER_FILE, AttentionSettings(even=False))
    scene = sample_scene(HELD_OUT_SEED + 2, count=3, size_hw=(96, 160))
    layers = [source.model.unet.get_submodule(name) for name in source.layers]
    with noting(layers) as found:
        (read,) = source.read(torch.from_numpy(scene.image).float() / 255, [parse("the red ring")])
    words = torch.zeros(1, 1, 77, 2)
    words[..., [2, 3], [0, 1]] = 1  # after the start and "the"
    maps = []
    for layer, noted in zip(layers, found, strict=True):
        query, key = (
            noted[part].unflatten(-1, (layer.heads, -1)).transpose(1, 2)
            for part in ("to_q", "to_k")
        )
        shares = (query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)).softmax(-1)
        maps.append((shares @ words).mean(1)[0].T.unflatten(-1, read.word_maps.shape[-2:]))
    assert len(maps) > 1
    assert torch.equal(read.word_maps, torch.stack(maps).mean(0))
