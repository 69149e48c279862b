"""A device that is not there: its tensors hold numbers, and whoever waits for them is counted.

The CPU computes them under another name, PyTorch's own for devices of others. As on a real one,
tensors of two places do not mix, and what a program reads or asks of a value is a wait: a copy to
the CPU, a number, how many are true; and a copy from the CPU that nobody lets go on by itself.
"""

from __future__ import annotations

import traceback
from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

torch._C._ensureCUDADeviceGuardSet()
PLACE = torch.device("cuda", 0)
WAITING = {
    "_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "equal",
    "unique_consecutive",
}  # fmt: skip
"""What needs a value, or the number of those that are true, before it can go on."""


class There(torch.Tensor):
    """A tensor on the device."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, device=PLACE,
        )  # fmt: skip

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func}: the device is not there now")


class Elsewhere(TorchDispatchMode):
    """The device while the block runs.

    Attributes:
        waits: how often each line of ours waited.
    """

    # under this key PyTorch does not look for the device's own driver
    _mode_key = torch._C._TorchDispatchModeKey.FAKE

    def __init__(self):
        super().__init__()
        self.waits = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        implicit = torch._C.DispatchKey.CompositeImplicitAutograd
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), implicit):
            with self:  # of what it is made of, in turn
                return func.decompose(*args, **kwargs)
        wrapped = {id(each.held): each for each in tree_leaves((args, kwargs)) if _is_there(each)}
        plain = [each for each in tree_leaves((args, kwargs)) if _is_here(each)]
        name, to = func.overloadpacket.__name__, kwargs.get("device")
        away = to is not None and torch.device(to).type == "cpu" and bool(wrapped)
        if to is not None and torch.device(to).type == PLACE.type:
            kwargs["device"] = torch.device("cpu")
        stays = (bool(wrapped) or kwargs.get("device") != to) and not away
        if _waits(name, args, kwargs, away=away, comes=stays and bool(plain)):
            self.waits[_line()] += 1
        if wrapped and not away and name not in ("copy_", "index", "index_put_", "index_put"):
            assert not plain, f"{name}: tensors of two places"
        out = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        if name == "copy_" or not stays:
            return args[0] if name == "copy_" else out
        return tree_map(lambda each: _wrap(each, wrapped), out)


def _is_there(each):
    return isinstance(each, There)


def _is_here(each):
    return isinstance(each, torch.Tensor) and not isinstance(each, There) and each.ndim > 0


def _held(each):
    return each.held if isinstance(each, There) else each


def _wrap(each, wrapped):
    if not isinstance(each, torch.Tensor):
        return each
    # what is written in place stays the tensor that it was
    return wrapped[id(each)] if id(each) in wrapped else There(each)


def _waits(name, args, kwargs, *, away, comes):
    if name in WAITING:
        return any(_is_there(each) for each in tree_leaves(args))
    if name in ("index", "index_put", "index_put_"):
        places = [each for each in args[1] if each is not None and _is_there(args[0])]
        return any(each.dtype in (torch.bool, torch.uint8) or _is_here(each) for each in places)
    if name == "copy_":
        waits = kwargs.get("non_blocking") or (len(args) > 2 and args[2])
        return _is_there(args[0]) != _is_there(args[1]) and not (waits and _is_there(args[0]))
    return away or (comes and name == "_to_copy" and not kwargs.get("non_blocking"))


def _line():
    stack = traceback.extract_stack()
    last = next((each for each in reversed(stack) if "refdiff_core" in each.filename), stack[0])
    return f"{last.filename.rpartition('refdiff_core/')[2]}:{last.lineno}"


def on_device(module):
    """A module's own weights on the device."""
    with torch.inference_mode(), Elsewhere():
        for part in module.modules():
            for held in (part._parameters, part._buffers):
                for name, value in held.items():
                    if value is not None:
                        moved = There(value.detach())
                        kept = torch.nn.Parameter(moved, requires_grad=False)
                        held[name] = moved if held is part._buffers else kept
    return module
