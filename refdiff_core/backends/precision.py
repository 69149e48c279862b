"""Half precision for models that are loaded in full, where the device computes it faster."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def autocast(
    device: torch.device, dtype: torch.dtype | None = None
) -> AbstractContextManager[object]:
    """Half precision while the block runs.

    Args:
        device: where the model is.
        dtype: to compute in; None takes float16 on CUDA and leaves any other device as it is,
            so that the CPU's answers stay the same to the bit.
    """
    wanted = dtype or (torch.float16 if device.type == "cuda" else torch.float32)
    return nullcontext() if wanted == torch.float32 else torch.autocast(device.type, wanted)
