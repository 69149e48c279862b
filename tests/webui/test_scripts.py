"""The adapter's files: imported, installed and read as a WebUI does."""

import ast
import os
import subprocess
import sys

import pytest
from fake_host import ROOT

SOURCES = [*(ROOT / "refdiff_webui").glob("*.py"), ROOT / "scripts" / "refdiff_webui.py"]


def test_scripts_are_imported_whole_while_the_folder_is_on_the_path():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                inner = [each for each in ast.walk(node) if isinstance(each, ast.ImportFrom)]
                assert not any(each.module.startswith("refdiff") for each in inner), path


def test_nothing_else_in_scripts_is_taken_for_one_by_a_webui():
    assert [path.name for path in (ROOT / "scripts").glob("*.py")] == ["refdiff_webui.py"]


def test_the_adapter_reads_as_python_3_10():
    for path in [*SOURCES, *(ROOT / "refdiff_core").rglob("*.py"), ROOT / "install.py"]:
        ast.parse(path.read_text(), feature_version=(3, 10))


@pytest.mark.parametrize("inside", [True, False])
def test_install_is_silent_inside_a_webui_wherever_its_extensions_lie(tmp_path, inside):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "launch_utils.py").touch()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path) if inside else ""}
    done = subprocess.run(
        [sys.executable, str(ROOT / "install.py")], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0 and bool(done.stdout) != inside and done.stderr == ""
