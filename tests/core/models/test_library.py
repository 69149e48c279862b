"""Where model files are looked for."""

import os
from pathlib import Path

import pytest

from refdiff_core.errors import ModelError
from refdiff_core.models.library import find_clip, find_model, list_models, model_folders


@pytest.fixture
def folders(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first / "checkpoints", second / "checkpoints", second / "clip"):
        folder.mkdir(parents=True)
    monkeypatch.setenv("REFDIFF_MODELS", os.pathsep.join(map(str, (first, second))))
    return first, second


def test_without_a_setting_there_is_one_folder_in_the_home(monkeypatch):
    monkeypatch.delenv("REFDIFF_MODELS", raising=False)
    (folder,) = model_folders()
    assert folder.is_absolute() and folder.parts[-2:] == ("refdiff", "models")


def test_names_are_found_with_and_without_suffix_in_order(folders):
    for folder in folders:
        (folder / "checkpoints" / "a.safetensors").touch()
    for name in ("a", "a.safetensors"):
        assert find_model("checkpoints", name) == folders[0] / "checkpoints" / "a.safetensors"


def test_a_path_that_exists_comes_first(folders, tmp_path):
    (tmp_path / "own.pth").touch()
    assert find_model("sams", str(tmp_path / "own.pth")) == tmp_path / "own.pth"


def test_a_missing_model_says_where_it_was_looked_for(folders):
    with pytest.raises(ModelError) as caught:
        find_model("checkpoints", "nowhere.safetensors")
    assert all(str(folder / "checkpoints") in str(caught.value) for folder in folders)


def test_clip_keeps_its_architecture(folders):
    (folders[1] / "clip" / "vit.safetensors").touch()
    found = find_clip("ViT-B-16:vit.safetensors")
    assert found == f"ViT-B-16:{folders[1] / 'clip' / 'vit.safetensors'}"
    assert Path(find_clip("vit")) == folders[1] / "clip" / "vit.safetensors"


def test_listing_shows_weights_and_model_folders_only(folders):
    place = folders[1] / "checkpoints"
    (place / "a.safetensors").touch()
    (place / "notes.txt").touch()
    (place / "empty").mkdir()
    (place / "diffusers" / "unet").mkdir(parents=True)
    (place / "diffusers" / "unet" / "config.json").touch()
    assert list_models("checkpoints") == [place / "a.safetensors", place / "diffusers"]
    assert list_models("sams") == []


def test_comfyuis_own_folder_will_do(folders):
    """CLIP for scoring lies in `open_clip` there; others in folders of the user's own."""
    place = folders[0]
    for file in ("open_clip/ViT-B-16.safetensors", "checkpoints/sd15/Photo/real.SAFETENSORS"):
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).touch()
    assert Path(find_clip("ViT-B-16")) == place / "open_clip" / "ViT-B-16.safetensors"
    real = place / "checkpoints" / "sd15" / "Photo" / "real.SAFETENSORS"
    for name in ("sd15/Photo/real", "sd15\\Photo\\real.SAFETENSORS"):
        assert find_model("checkpoints", name) == real
    assert list_models("checkpoints") == [real]
    assert list_models("clip") == [place / "open_clip" / "ViT-B-16.safetensors"]


def test_links_that_lead_nowhere_or_back_are_no_models(folders):
    place = folders[0] / "checkpoints"
    try:
        (place / "gone.safetensors").symlink_to(place / "not-there.safetensors")
        (place / "round").symlink_to(place, target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links")
    (place / "a.ckpt").touch()
    found = list_models("checkpoints")
    assert place / "a.ckpt" in found and len(found) < 20
    assert all(each.name == "a.ckpt" for each in found)
    with pytest.raises(ModelError, match="no model 'gone'"):
        find_model("checkpoints", "gone")
