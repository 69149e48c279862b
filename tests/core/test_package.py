"""What importing costs, and what is public."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import refdiff_core

HEAVY = ("comfy", "diffusers", "transformers", "open_clip", "segment_anything", "matplotlib")


def loaded_modules(code, tmp_path):
    """Top-level modules that a fresh interpreter holds after running some code."""
    code += "\nimport sys; print('\\n' + ' '.join({name.split('.')[0] for name in sys.modules}))"
    root = str(Path(refdiff_core.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": root},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_heavy_not_even_torch(tmp_path):
    assert not loaded_modules("import refdiff_core", tmp_path) & {*HEAVY, "torch", "numpy"}


def test_the_api_loads_no_backend(tmp_path):
    code = "from refdiff_core import *"
    assert not loaded_modules(code, tmp_path) & set(HEAVY)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["segment", "--help"],
        ["evaluate", "-h"],
        ["batch", "-h"],
        ["--version"],
        [],
        ["parse", "the red cup", "--json"],
    ],
)
def test_help_and_parse_need_no_torch(arguments, tmp_path):
    code = f"from refdiff_core.command.cli import run; assert run({arguments}) == 0"
    assert not loaded_modules(code, tmp_path) & {*HEAVY, "torch", "numpy", "PIL", "scipy"}


def test_python_m_is_the_command_line(tmp_path):
    root = str(Path(refdiff_core.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "refdiff_core", "--help"],
        env={**os.environ, "PYTHONPATH": root},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Usage: refdiff")
    assert not done.stderr


def test_public_names():
    assert refdiff_core.__all__ == [
        "AttentionSettings",
        "Expression",
        "Models",
        "Proposals",
        "RefDiffError",
        "Segmentation",
        "Settings",
        "load_demo",
        "load_image",
        "load_models",
        "parse",
        "parse_lines",
        "save_image",
        "segment",
    ]


@pytest.mark.parametrize("name", refdiff_core.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(refdiff_core, name).__doc__


def test_unknown_names_raise_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = refdiff_core.nonsense
