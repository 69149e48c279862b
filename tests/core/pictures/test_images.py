"""Pictures in and out, and every kind of picture that is none."""

import logging

import numpy as np
import PIL.Image
import pytest
import torch
import torch.nn.functional as F

from refdiff_core.errors import ImageError, OutputError
from refdiff_core.pictures import images
from refdiff_core.pictures.images import (
    check_image,
    load_image,
    resize_picture,
    save_image,
    scale_to,
    show,
    shrink,
)


def saved(array, path, **options):
    PIL.Image.fromarray(array).save(path, **options)
    return path


def gradient(height=6, width=10):
    return np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)


def test_rgb_is_read_as_it_is(tmp_path):
    image = load_image(saved(gradient(), tmp_path / "a.png"))
    assert image.shape == (6, 10, 3) and image.dtype == torch.float32
    assert torch.equal((image * 255).round().byte(), torch.from_numpy(gradient()))


def test_greyscale_has_three_equal_channels(tmp_path):
    image = load_image(saved(gradient()[..., 0], tmp_path / "a.png"))
    assert image.shape == (6, 10, 3)
    assert torch.equal(image[..., 0], image[..., 2])


def test_transparency_lies_over_white(tmp_path):
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[:, :3] = (255, 0, 0, 255)
    image = load_image(saved(rgba, tmp_path / "a.png"))
    assert image[0, 0].tolist() == [1, 0, 0]
    assert image[0, 5].tolist() == [1, 1, 1]


def test_sixteen_bit_greyscale_is_scaled_not_clipped(tmp_path):
    grey = np.array([[0, 32768, 65535]], np.uint16)
    image = load_image(saved(grey, tmp_path / "a.png"))
    assert image[0, :, 0].tolist() == pytest.approx([0, 0.5, 1], abs=1e-4)


def test_palettes_with_transparency(tmp_path):
    picture = PIL.Image.new("P", (3, 2), 0)
    picture.putpalette([0, 0, 255, 255, 0, 0])
    picture.putpixel((0, 0), 1)
    picture.save(tmp_path / "a.png", transparency=0)
    image = load_image(tmp_path / "a.png")
    assert image[0, 0].tolist() == [1, 0, 0]
    assert image[1, 2].tolist() == [1, 1, 1]


def test_exif_rotation_is_applied(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # the camera was turned: columns and rows change places
    image = load_image(saved(gradient(), tmp_path / "a.jpg", exif=exif, quality=95))
    assert image.shape == (10, 6, 3)
    assert image[0, -1].mean() < 0.1  # what was top left is top right


def test_cmyk_becomes_rgb(tmp_path):
    PIL.Image.new("CMYK", (5, 4), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    image = load_image(tmp_path / "a.jpg")
    assert image.shape == (4, 5, 3)
    assert image[0, 0, 0] > 0.9 and image[0, 0, 1] < 0.1


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_read_with_a_warning(tmp_path, caplog, suffix):
    frames = [PIL.Image.new("RGB", (4, 3), color) for color in ("red", "blue")]
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    with caplog.at_level(logging.WARNING, "refdiff"):
        assert load_image(path)[0, 0].tolist() == [1, 0, 0]
    assert "animated" in caplog.text


@pytest.mark.parametrize("size", [(1, 1), (4000, 1), (1, 4000)])
def test_extreme_sizes_are_read(tmp_path, size):
    PIL.Image.new("RGB", size, "red").save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").shape == (size[1], size[0], 3)


def bad_pictures(folder):
    """Name of a case, its path, and what the error says."""
    whole = folder / "whole.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    saved(noise, whole)
    (folder / "cut.png").write_bytes(whole.read_bytes()[:5000])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    (folder / "folder.png").mkdir()
    yield "missing.png", "no picture at"
    yield "cut.png", "cannot be read"
    yield "empty.png", "cannot be read"
    yield "text.png", "cannot be read"
    yield "folder.png", "is a folder"


def test_bad_pictures_give_one_clear_error(tmp_path):
    for name, message in bad_pictures(tmp_path):
        with pytest.raises(ImageError, match=message) as caught:
            load_image(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10)
    PIL.Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="too large"):
        load_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3)), "ndarray"),
        (torch.zeros(4, 4), r"\(4, 4\)"),
        (torch.zeros(1, 4, 4, 3), r"\(1, 4, 4, 3\)"),
        (torch.zeros(3, 4, 4), r"\(3, 4, 4\)"),
        (torch.zeros(0, 4, 3), "no pixels"),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), "uint8"),
        (torch.full((4, 4, 3), torch.nan), "not finite"),
    ],
)
def test_tensors_that_are_no_pictures(image, message):
    with pytest.raises(ImageError, match=message):
        check_image(image)


def test_check_image_clamps_and_converts():
    image = check_image(torch.tensor([[[-1.0, 0.5, 2.0]]], dtype=torch.float64))
    assert image.dtype == torch.float32
    assert image.tolist() == [[[0.0, 0.5, 1.0]]]


def test_shrink_keeps_proportions_and_small_pictures():
    assert shrink(torch.rand(60, 100, 3), 50).shape == (30, 50, 3)
    assert shrink(torch.rand(1, 4000, 3)).shape == (1, 2000, 3)
    assert shrink(torch.rand(1, 2560, 3)).shape == (1, 2048, 3)
    small = torch.rand(60, 100, 3)
    assert shrink(small) is small


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("size_hw", [(6, 10), (31, 4101)])
def test_one_value_that_is_not_finite_is_seen_in_a_picture_of_any_size(size_hw, value):
    image = torch.rand(*size_hw, 3)
    image[-1, -1, 1] = value
    with pytest.raises(ImageError, match="not finite"):
        show(image)


def test_of_a_large_picture_models_are_shown_a_copy_in_range():
    image = torch.full((30, 4100, 3), 2.0)
    shown = show(image)
    assert shown.shape == (15, 2048, 3) and shown.eq(1).all()
    small = torch.rand(6, 10, 3)
    assert show(small) is small


@pytest.mark.parametrize("size_hw", [(640, 970), (601, 1003)])
def test_what_is_averaged_before_it_is_resampled_looks_the_same(size_hw):
    rows, columns = (torch.linspace(0, 20, side) for side in size_hw)
    image = (torch.sin(rows)[:, None] * torch.cos(columns))[..., None].expand(-1, -1, 3) / 2 + 0.5
    planes = image.permute(2, 0, 1)[None]
    for mode, small in (
        ("bicubic", resize_picture(image, (64, 97))[0]),
        ("bilinear", scale_to(image, (64, 97)).permute(2, 0, 1)),
    ):
        whole = F.interpolate(planes, (64, 97), mode=mode, antialias=True)[0]
        assert (small - whole).abs().max() < 0.02


def test_scaling_a_mask_there_and_back_keeps_it(squares_masks):
    large = scale_to(squares_masks, (480, 800))
    assert large.dtype == torch.bool and large.shape == (2, 480, 800)
    assert torch.equal(scale_to(large, (48, 80)), squares_masks)
    assert scale_to(squares_masks[:0], (5, 7)).shape == (0, 5, 7)
    assert torch.equal(scale_to(squares_masks[0], (480, 800)), large[0])


def test_scaling_a_map():
    assert scale_to(torch.ones(3, 5), (6, 10)).eq(1).all()


def test_saved_pictures_read_back(tmp_path):
    image = torch.from_numpy(gradient()).float() / 255
    assert torch.equal(load_image(save_image(image, tmp_path / "new" / "a.png")), image)


def test_masks_are_saved_as_8_bit_greyscale(tmp_path):
    path = save_image(torch.tensor([[0.0, 1.0]]), tmp_path / "a.png")
    with PIL.Image.open(path) as file:
        assert file.mode == "L"
        assert np.asarray(file).tolist() == [[0, 255]]


@pytest.mark.parametrize("name", ["a.nonsense", "a", "file.png/a.png"])
def test_a_place_that_cannot_be_written_to(tmp_path, name):
    (tmp_path / "file.png").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        save_image(torch.zeros(2, 2), tmp_path / name)


@pytest.mark.parametrize("size_hw", [(12, 21), (13, 20), (2, 25), (14, 1)])
def test_squares_of_pixels_are_averaged_and_those_at_the_edges_are_narrower(size_hw):
    image = torch.rand(*size_hw, 3, generator=torch.Generator().manual_seed(0))
    small = images._average(image, 3)
    assert small.shape == (-(-size_hw[0] // 3), -(-size_hw[1] // 3), 3)
    for row, column in ((0, 0), (small.shape[0] - 1, small.shape[1] - 1)):
        square = image[3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
        assert torch.allclose(small[row, column], square.mean((0, 1)))
