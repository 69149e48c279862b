"""A folder, models and a picture for every test of the command line."""

import socket

import PIL.Image
import pytest

from refdiff_core import Models
from refdiff_core.testing import FakeAttention, FakeScorer


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test runs in a folder of its own and without a network."""

    def refuse(*_):
        raise AssertionError("a test reached for the network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REFDIFF_MODELS", raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def fakes(monkeypatch):
    """Fakes in the place of the demo models."""

    def load(variant="gsd", attention=None, device="cpu", proposer=None, **_):
        scorer = FakeScorer() if "d" in variant else None
        return Models(FakeAttention(), proposer, scorer if proposer else None)

    monkeypatch.setattr("refdiff_core.models.choice.load_demo", load)


@pytest.fixture
def scene(tmp_path, two_squares):
    PIL.Image.fromarray(two_squares).save(tmp_path / "scene.png")
    return "scene.png"
