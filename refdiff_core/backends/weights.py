"""Weights from whatever file people have: told by its content, wherever they lie in it.

Nothing in a file is ever run. What a file is not, its errors say: which kind it is, what to use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .pickled import read_archive, read_legacy

StateDict = dict[str, Tensor]

_WRAPPERS = ("state_dict", "model_state_dict", "model", "params_ema", "params", "module", "net")
"""Where training programs put the weights, beside other things."""

_PREFIXES = ("module.", "_orig_mod.")
"""What training on several devices, and compiling, put before every name."""

_OTHERS = {
    b"GGUF": "is a model in llama.cpp's quantised format. Use its .safetensors file",
    b"version https://git-lfs": "is a pointer that stands in for the model. Fetch the file itself "
    "with 'git lfs pull'",
    b"<": "is a web page: the download was refused or needs a login. Download it again",
    b"\x93NUMPY": "is an array of numpy's. Use the model's own file",
}

_KINDS = {
    "mask_decoder.hf_token": "HQ-SAM",
    "sam_mask_decoder.": "SAM 2",
    "image_encoder.trunk.": "SAM 2",
    "detector.backbone.": "SAM 3",
    "image_encoder.patch_embed.seq.": "MobileSAM",
    "vision_encoder.patch_embed": "Segment Anything in transformers' layout",
    "image_encoder.patch_embed.proj.": "Segment Anything",
    "mask_decoder.": "a kind of Segment Anything",
    "control_model.": "a ControlNet",
    "controlnet_cond_embedding.": "a ControlNet",
    "lora_unet_": "a LoRA",
    "lora_te_": "a LoRA",
    "diffusion_model.lora": "a LoRA",
    ".lora_up.": "a LoRA",
    ".lora_A.": "a LoRA",
    "image_proj.": "an IP-Adapter",
    "emb_params": "a textual inversion",
    "string_to_param": "a textual inversion",
    "double_blocks.": "Flux",
    "joint_blocks.": "Stable Diffusion 3",
    "visual.": "CLIP in open_clip's layout",
    "vision_model.": "CLIP in transformers' layout",
    "model.diffusion_model.": "a checkpoint of Stable Diffusion's kind",
    "down_blocks.": "one part of a diffusers folder",
    "input_blocks.": "a denoiser alone",
    "first_stage_model.": "an autoencoder alone",
    "decoder.up.": "an autoencoder alone",
    "text_model.": "a text encoder alone",
    "cond_stage_model.": "a text encoder alone",
}
"""Parts of names by which a file's kind is known; the first that occurs tells it."""


def read_state_dict(path: str | Path) -> StateDict:
    """The weights in a file: safetensors, or what torch.save and TorchScript write.

    Args:
        path: of any suffix; the content tells what it is.

    Returns:
        Tensors by name, without what training programs put around or before them.

    Raises:
        ModelError: no such file, damaged, or not a file of weights.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no model file at '{path}'. Check the path.")
    try:
        found = _read(path)
        weights = _without_prefix(_unwrap(found))
    except ModelError:
        raise
    except Exception as error:  # what a damaged file makes of its reader is not to be foreseen
        raise ModelError(damaged(path, error)) from error
    if not weights:
        raise ModelError(f"'{path}' holds no weights. Use a model's own file.")
    return weights


def damaged(path: Path, error: Exception) -> str:
    """That a file cannot be read, and why."""
    reason = (str(error).splitlines() or [""])[0].partition(". ")[0][:200]
    return (
        f"'{path}' cannot be read as model weights ({reason or type(error).__name__}). "
        "It may be damaged or half downloaded: get it again, as .safetensors where there is one."
    )


def kind_of(state: Mapping[str, Tensor]) -> str:
    """What a file seems to be, in words, or an empty text."""
    return next((kind for part, kind in _KINDS.items() if any(part in key for key in state)), "")


def described(state: Mapping[str, Tensor]) -> str:
    """`kind_of` as the middle of a sentence: " (it is HQ-SAM)"."""
    kind = kind_of(state)
    return f" (it is {kind})" if kind else ""


def fill(model: nn.Module, weights: Mapping[str, Tensor], source: str | Path) -> None:
    """Put weights into a model, all of them or none, and see that they are numbers to work with.

    Raises:
        ModelError: they do not fit, or are no weights that anybody has trained.
    """
    try:
        model.load_state_dict(dict(weights), strict=True, assign=True)
    except Exception as error:
        first = "".join(str(error).splitlines()[1:2]).strip() or str(error)
        raise ModelError(
            f"'{source}' does not fit {type(model).__name__}: {first[:200]} Use a whole file of "
            "the kind that was asked for."
        ) from error
    check_values(model, source)


def check_values(model: nn.Module, source: str | Path) -> None:
    """See that a model's weights are finite and were not left at zero.

    Raises:
        ModelError: they are not; such a model finds nothing, whatever it is asked.
    """
    own = model.state_dict()
    values = [(name, each) for name, each in own.items() if each.is_floating_point()]
    broken = next((name for name, each in values if not _finite(each)), None)
    if broken is not None:
        raise ModelError(
            f"'{source}' holds values that are no numbers ('{broken}'). It was damaged when it was "
            "made: get another one."
        )
    tables = [each for _, each in values if each.ndim > 1]
    empty = sum(not _any(each) for each in tables)
    # some layers begin at zero and a few stay there; a download that stopped leaves a long tail
    if empty > len(tables) // 4:
        raise ModelError(
            f"'{source}' is not whole: {empty} of {len(tables)} layers are zero. "
            "Its download did not end: get it again."
        )


def _finite(values: Tensor) -> bool:
    return bool(_wide(values).sum(dtype=torch.float32).isfinite())


def _any(values: Tensor) -> bool:
    wide = _wide(values)
    return bool(wide.flatten()[:4096].any() or wide.any())


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype.itemsize > 1 else values.float()  # eight bits can't be summed


def _read(path: Path) -> object:
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ModelError(f"'{path}' is empty. Get it again.")
    if head[:2] == b"PK":
        return read_archive(path)
    for mark, said in _OTHERS.items():
        if head.lstrip().startswith(mark) and head[8:9] != b"{":
            raise ModelError(f"'{path}' {said}.")
    if head[8:9] == b"{":
        from safetensors.torch import load_file

        return load_file(path)
    return read_legacy(path)


def _unwrap(found: object) -> StateDict:
    """The weights in what was read, wherever the program that wrote it has put them."""
    if not isinstance(found, Mapping):
        return {}
    for name in _WRAPPERS:
        if weights := _unwrap(found.get(name)):
            return weights
    return dict(_flat(found, "", set()))


def _flat(
    found: Mapping[object, object], prefix: str, seen: set[int]
) -> Iterator[tuple[str, Tensor]]:
    """Tensors by their full names, as torch names them within modules; nothing twice."""
    seen.add(id(found))
    for name, value in found.items():
        if not isinstance(name, (str, int)):
            continue
        own = name in ("_parameters", "_buffers", "_modules")
        full = prefix if own else f"{prefix}{name}"
        if isinstance(value, Tensor):
            yield full, value
        elif isinstance(value, Mapping) and id(value) not in seen:
            yield from _flat(value, full if own else f"{full}.", seen)


def _without_prefix(weights: StateDict) -> StateDict:
    for prefix in _PREFIXES:
        if weights and all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights
