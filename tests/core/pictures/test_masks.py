"""Masks from outside."""

import numpy as np
import PIL.Image
import pytest
import torch

from refdiff_core.errors import MaskError
from refdiff_core.pictures.masks import check_masks, load_masks


def half(value, dtype=np.uint8):
    """A mask (3, 5) whose left two columns hold a value."""
    mask = np.zeros((3, 5), dtype)
    mask[:, :2] = value
    return mask


@pytest.mark.parametrize("value", [1, 128, 255])
def test_a_folder_of_pngs_whatever_the_scale(tmp_path, value):
    for index in range(2):
        PIL.Image.fromarray(half(value)).save(tmp_path / f"{index}.png")
    (tmp_path / "notes.txt").write_text("not a mask")
    masks = load_masks(tmp_path)
    assert masks.dtype == torch.bool and masks.shape == (2, 3, 5)
    assert masks.sum((1, 2)).tolist() == [6, 6]


def test_files_come_in_the_order_of_their_names(tmp_path):
    for name, width in (("b", 2), ("a", 1)):
        mask = np.zeros((3, 5), np.uint8)
        mask[:, :width] = 255
        PIL.Image.fromarray(mask).save(tmp_path / f"{name}.PNG")
    assert load_masks(tmp_path).sum((1, 2)).tolist() == [3, 6]


def test_one_16_bit_png(tmp_path):
    PIL.Image.fromarray(half(40_000, np.uint16)).save(tmp_path / "a.png")
    assert load_masks(tmp_path / "a.png").sum() == 6


@pytest.mark.parametrize(("value", "dtype"), [(True, bool), (255, np.uint8), (0.9, np.float32)])
def test_arrays(tmp_path, value, dtype):
    np.save(tmp_path / "a.npy", np.stack([half(value, dtype)] * 4))
    assert load_masks(tmp_path / "a.npy").sum((1, 2)).tolist() == [6] * 4
    np.save(tmp_path / "b.npy", half(value, dtype))
    assert load_masks(tmp_path / "b.npy").shape == (1, 3, 5)


def test_an_empty_mask_stays_empty(tmp_path):
    np.save(tmp_path / "a.npy", half(0))
    assert not load_masks(tmp_path / "a.npy").any()


def bad_masks(folder):
    np.save(folder / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    np.save(folder / "flat.npy", np.zeros(5))
    np.save(folder / "none.npy", np.zeros((0, 3, 5)))
    np.save(folder / "nan.npy", np.full((1, 3, 5), np.nan))
    np.save(folder / "words.npy", np.array([["a"]]))
    (folder / "empty.npy").touch()
    (folder / "text.png").write_text("no picture")
    (folder / "folder").mkdir()
    (folder / "sizes").mkdir()
    PIL.Image.new("L", (4, 3)).save(folder / "sizes" / "a.png")
    PIL.Image.new("L", (5, 3)).save(folder / "sizes" / "b.png")
    yield "missing", "no masks at"
    yield "objects.npy", "cannot be read"
    yield "empty.npy", "cannot be read"
    yield "flat.npy", r"\(5,\)"
    yield "none.npy", "N at least 1"
    yield "words.npy", "must hold numbers"
    yield "nan.npy", "not finite"
    yield "text.png", "cannot be read"
    yield "folder", "no PNG files"
    yield "sizes", "5 x 3.*4 x 3"


def test_what_is_no_mask_gives_one_clear_error(tmp_path):
    for name, message in bad_masks(tmp_path):
        with pytest.raises(MaskError, match=message) as caught:
            load_masks(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


def test_masks_of_another_size_are_refused(squares_masks):
    check_masks(squares_masks, (48, 80))
    with pytest.raises(MaskError, match="80 x 48 pixels, the picture is 48 x 80"):
        check_masks(squares_masks, (80, 48))
