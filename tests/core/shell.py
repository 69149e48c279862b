"""The command line as a person uses it: what is typed, what is read from its screen."""

import json

import numpy as np
import PIL.Image
import torch

from refdiff_core.command.cli import run


def segment(*arguments):
    return run(["segment", *arguments, "--demo"])


def records(capsys):
    """The records on standard output, which holds nothing else."""
    captured = capsys.readouterr()
    return [json.loads(line) for line in captured.out.splitlines()]


def complaint(capsys):
    """The one line on standard error; standard output stays empty."""
    captured = capsys.readouterr()
    assert not captured.out
    (line,) = captured.err.splitlines()
    assert line.startswith("refdiff: ")
    return line


def read_mask(path):
    with PIL.Image.open(path) as file:
        assert file.mode == "L" and file.format == "PNG"
        array = np.asarray(file)
    assert set(np.unique(array)) <= {0, 255}
    return torch.from_numpy(array > 0)
