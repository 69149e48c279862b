"""Models that a user chooses from a list."""

import pytest
import torch

from refdiff_core.models.shelf import DEMO_NAME, NONE, Shelf


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Two folders of a kind; those of `library` are empty."""
    monkeypatch.setenv("REFDIFF_MODELS", str(tmp_path / "none"))
    for name in ("own/c.pth", "own/B.pth", "other/a.pth", "other/c.pth"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return [tmp_path / "own", tmp_path / "other"]


def shelf_of(places):
    return Shelf({"sams": places, "clip": []}, lambda done, total: None)


def test_files_are_listed_from_a_to_z_and_the_first_place_counts(places):
    shelf = shelf_of(places)
    assert shelf.names("sams") == [NONE, DEMO_NAME, "a.pth", "B.pth", "c.pth"]
    assert shelf._file("sams", "c.pth") == places[0] / "c.pth"


def test_what_models_remember_does_not_stay_where_they_worked(places):
    pytest.importorskip("segment_anything")
    with shelf_of(places).lend(DEMO_NAME, DEMO_NAME, "cpu") as lent:
        assert [each.cache.device for each in lent] == [torch.device("cpu")] * 2
