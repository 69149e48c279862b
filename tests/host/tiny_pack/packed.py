"""Weights of 8 bits that are unpacked where they are used, as GGUF files' are.

By Q8_0 of llama.cpp: for every 32 values of a row one scale in half precision and 32 signed bytes.
"""

import comfy.ops
import torch

VALUES, BYTES = 32, 34


def pack(weight):
    """(rows, 32 n) to uint8 (rows, 34 n)."""
    blocks = weight.float().unflatten(-1, (-1, VALUES))
    scale = blocks.abs().amax(-1, keepdim=True) / 127
    values = (blocks / scale.clamp(min=1e-30)).round().to(torch.int8)
    parts = scale.half().view(torch.uint8), values.view(torch.uint8)
    return torch.cat(parts, -1).flatten(-2)


def unpack(packed):
    """uint8 (rows, 34 n) to float32 (rows, 32 n)."""
    blocks = packed.unflatten(-1, (-1, BYTES))
    scale, values = (part.contiguous() for part in blocks.split([2, VALUES], -1))
    return (scale.view(torch.half).float() * values.view(torch.int8).float()).flatten(-2)


class PackedLinear(torch.nn.Module):
    """A linear layer whose weight is unpacked when it is called, where the file has it packed."""

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        self.weight = self.bias = None

    def _load_from_state_dict(self, state, prefix, *rest):
        for name in ("weight", "bias"):
            if prefix + name in state:
                value = torch.nn.Parameter(state[prefix + name].clone(), requires_grad=False)
                setattr(self, name, value)
        super()._load_from_state_dict(state, prefix, *rest)

    def forward(self, given):
        weight = unpack(self.weight) if self.weight.dtype == torch.uint8 else self.weight
        bias = None if self.bias is None else self.bias.to(given)
        return torch.nn.functional.linear(given, weight.to(given), bias)


class Operations(comfy.ops.manual_cast):
    """What ComfyUI builds a network from: linear layers packed, all others as always."""

    Linear = PackedLinear


def packed(state):
    """A network's weights, packed but for one whose shape tells ComfyUI what the network is."""
    return {
        name: pack(value)
        if name.endswith("weight") and value.ndim == 2 and "context_embedder" not in name
        else value
        for name, value in state.items()
    }
