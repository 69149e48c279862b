"""What reading the words costs beside one block of Flux's own width in ComfyUI, on the CPU.

    python -m benchmarks.host_block COMFYUI [--places 4096] [--threads 2] [--rounds 5]

By ComfyUI's own block with random weights and the nodes' own override, in ComfyUI's own Python:
where ComfyUI attends by torch's function, where by the sub-quadratic one, its default on a CPU,
behind another pack's override that has it done, and behind one that attends by itself, so that
torch's may not take its place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from .joint_block import HEADS, SIZE, TOKENS, asked, options, show


def start(root: str) -> Any:
    """ComfyUI without its server, and the pack's own override."""
    sys.argv[1:] = ["--cpu"]
    sys.path.insert(0, root)
    import_module("comfy.options").enable_args_parsing()
    import_module("utils.extra_config")  # as main.py does, before nodes.py hides "utils"
    pack = Path(__file__).parents[1]
    spec = spec_from_file_location(
        "pack", pack / "__init__.py", submodule_search_locations=[str(pack)]
    )
    sys.modules["pack"] = module_from_spec(spec)  # type: ignore[arg-type]
    return import_module("pack.nodes._transformers").Override


def double_block(places: int) -> Callable[[dict[str, Any]], object]:
    """A pass of ComfyUI's block under transformer options."""
    layers, width = import_module("comfy.ldm.flux.layers"), HEADS * SIZE
    torch.manual_seed(0)
    block = layers.DoubleStreamBlock(
        width, HEADS, 4.0, qkv_bias=True, dtype=torch.float32, operations=torch.nn
    ).eval()
    picture, text, vector = (torch.randn(1, n, width) for n in (places, TOKENS, 1))
    place = layers.EmbedND(SIZE, 10000, [16, 56, 56])(torch.zeros(1, TOKENS + places, 3))

    def run(told: dict[str, Any]) -> object:
        # it adds to what it is given
        given = picture.clone(), text.clone(), vector[:, 0]
        return block(*given, place, transformer_options=told)

    return run


def groups(places: int, override: Any) -> list[dict[str, Callable[[], object]]]:
    """The block alone and read among all keys, by each of ComfyUI's attention functions."""
    functions, block = import_module("comfy.ldm.modules.attention"), double_block(places)

    def run(name: str, *previous: Any) -> object:
        told = {}
        if previous:
            told["optimized_attention_override"] = override(asked(places, "all"), *previous)
        with mock.patch("comfy.ldm.flux.math.optimized_attention", getattr(functions, name)):
            return block(told)

    def passes(function: Callable[..., object], *args: Any, **kwargs: Any) -> object:
        return function(*args, **kwargs)

    def attends(_function: Callable[..., object], *args: Any, **kwargs: Any) -> object:
        return functions.attention_sub_quad(*args, **kwargs)

    torchs, own = "attention_pytorch", "attention_sub_quad"
    return [
        {"torch's, alone": partial(run, torchs), "torch's, read": partial(run, torchs, None)},
        {
            "sub-quadratic, alone": partial(run, own),
            "sub-quadratic, read": partial(run, own, None),
            "sub-quadratic behind a pack, read": partial(run, own, passes),
            "sub-quadratic by a pack itself, read": partial(run, own, attends),
        },
    ]


def main() -> None:
    """Print a table of the block's time and memory, alone and read."""
    parser = options(main.__doc__)
    parser.add_argument("comfyui")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    show(groups(given.places, start(given.comfyui)), given.rounds)


if __name__ == "__main__":
    main()
