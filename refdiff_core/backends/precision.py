"""In which type models compute, and how their weights lie, by the device."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

logger = logging.getLogger("refdiff")


def fastest_dtype(device: str | torch.device) -> torch.dtype:
    """What a device computes these models in fastest (docs/trials.md).

    float16 on a GPU; on a processor bfloat16 where it has instructions for it, which takes about
    half the time, and float32 where bfloat16 would be emulated.
    """
    if torch.device(device).type != "cpu":
        return torch.float16
    tell = getattr(torch.cpu, "get_capabilities", None)  # older versions of torch cannot
    known = tell() if tell else {}
    return torch.bfloat16 if known.get("avx512_bf16") else torch.float32


def usable_dtype(dtype: torch.dtype, device: str | torch.device) -> torch.dtype:
    """The type, or float32, with a warning, where a processor has no kernels for it.

    Before 2.2 torch had next to none for float16 there.
    """
    if torch.device(device).type != "cpu" or dtype == torch.float32:
        return dtype
    some, kernel = torch.zeros(1, 2, 2, 2, dtype=dtype), torch.zeros(2, 2, 1, 1, dtype=dtype)
    try:
        F.scaled_dot_product_attention(some, some, F.group_norm(F.conv2d(some, kernel), 1))
    except RuntimeError:
        logger.warning("This torch cannot compute in %s on a processor: in float32.", dtype)
        return torch.float32
    return dtype


def autocast(weight: Tensor, dtype: torch.dtype | None = None) -> AbstractContextManager[object]:
    """Half precision while the block runs, for a model that is loaded in full.

    Args:
        weight: one of the model's. If it is in half precision itself, or elsewhere than on CUDA or
            the CPU, nothing changes.
        dtype: to compute in; None takes float16 on CUDA and float32 on the CPU, so that its
            answers stay the same to the bit.
    """
    kind = weight.device.type
    wanted = dtype or (torch.float16 if kind == "cuda" else torch.float32)
    full = weight.dtype == torch.float32
    if not full or wanted == torch.float32 or kind not in ("cpu", "cuda"):
        return nullcontext()
    return torch.autocast(kind, wanted)


def place(module: nn.Module, device: str | torch.device, dtype: torch.dtype) -> Any:
    """Bring a convolutional model to a device, ready to be asked.

    On the CPU its kernels are laid out channels last, which saves some of an encode
    (docs/trials.md); what a GPU makes of that was not measured.
    """
    # the base class's own .to(): diffusers' warns of precautions that these models don't need
    nn.Module.to(module, device, dtype)
    if torch.device(device).type == "cpu":
        nn.Module.to(module, memory_format=torch.channels_last)
    return module.eval().requires_grad_(False)
