"""Of one picture the same mask, whatever its size, from Python and from the command line.

That the nodes give the same is `tests/host/test_large.py`'s.
"""

import json

import PIL.Image
import pytest
import torch

from refdiff_core import load_image, segment
from refdiff_core.command.cli import run
from refdiff_core.demo.scenes import COLORS
from refdiff_core.models.choice import ModelChoice
from refdiff_core.pipeline import Models

TEXT = "the red circle"
SIZES = [(97, 143), (333, 201), (1501, 2311), (2600, 1300)]
VARIANTS = ("g", "gs", "ds", "gsd")


def written(path, size_hw):
    """A red circle above or left of a blue square, at any size; and the circle's mask."""
    height, width = size_hw
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    along, across = (columns, rows) if width > height else (rows, columns)
    longer, shorter = max(size_hw), min(size_hw)
    off = (along - longer * 0.28).square() + (across - shorter * 0.5).square()
    circle = off.sqrt() < shorter * 0.28
    square = ((along - longer * 0.72).abs() < shorter * 0.24) & (
        (across - shorter * 0.5).abs() < shorter * 0.24
    )
    picture = torch.full((height, width, 3), 128, dtype=torch.uint8)
    for mask, color in ((circle, COLORS["red"]), (square, COLORS["blue"])):
        picture[mask] = torch.tensor(color, dtype=torch.uint8)
    PIL.Image.fromarray(picture.numpy()).save(path)
    return circle


def parts(models, variant):
    return Models(
        models.attention if "g" in variant else None,
        models.proposer if "s" in variant else None,
        models.scorer if "d" in variant else None,
        models.settings,
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size_hw", SIZES)
def test_python_and_command_line_give_the_same_mask(
    tmp_path, monkeypatch, capsys, demo_models, size_hw, variant
):
    monkeypatch.chdir(tmp_path)
    truth = written("scene.png", size_hw)
    models = parts(demo_models, variant)
    monkeypatch.setattr(ModelChoice, "load", lambda *_: models)
    (result,) = segment(load_image("scene.png"), TEXT, models)
    assert (
        run(
            ["segment", "scene.png", "--expression", TEXT, "--demo", "--variant", variant, "--json"]
        )
        == 0
    )
    record = json.loads(capsys.readouterr().out)
    with PIL.Image.open(record["mask"]) as file:
        assert file.size == size_hw[::-1]
    told = load_image(record["mask"])[..., 0]
    assert torch.equal(told > 0.5, result.mask > 0.5)
    fits = float((truth & (told > 0.5)).sum() / (truth | (told > 0.5)).sum())
    assert fits > 0.7, fits
