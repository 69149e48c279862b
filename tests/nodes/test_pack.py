"""The pack's outside, as far as it shows without a host; tests/host asks the host itself."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "nodes").glob("*.py"))
IDS = sorted(
    found for path in SOURCES for found in re.findall(r'node_id="(\w+)"', path.read_text())
)
WORKFLOWS = sorted((ROOT / "example_workflows").glob("*.json"))
LOADERS = {
    "CheckpointLoaderSimple": ("checkpoints", 1),
    "RefDiffLoadSAM": ("sams", 1),
    "UNETLoader": ("diffusion_models", 1),
    "CLIPLoader": ("text_encoders", 1),
    "DualCLIPLoader": ("text_encoders", 2),
    "VAELoader": ("vae", 1),
    "LoraLoaderModelOnly": ("loras", 1),
}
"""Of models that are files: the folder, and how many."""
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))


def test_node_ids_are_permanent():
    assert IDS == [
        "RefDiffAttention",
        "RefDiffCLIPScore",
        "RefDiffCutOut",
        "RefDiffFuseMasks",
        "RefDiffLoadCLIP",
        "RefDiffLoadDemo",
        "RefDiffLoadSAM",
        "RefDiffPick",
        "RefDiffSAMProposals",
        "RefDiffSegment",
    ]


@pytest.mark.parametrize("node", IDS)
def test_every_node_has_a_help_page_whose_picture_is_there(node):
    page = ROOT / "web" / "docs" / f"{node}.md"
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text())
    assert pictures
    for picture in pictures:
        assert (page.parent / picture).is_file(), picture


def _functions(path):
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def test_execute_converts_calls_and_converts():
    for path in SOURCES:
        for function in _functions(path):
            if function.name == "execute":
                body = function.body
                assert body[-1].end_lineno - body[0].lineno < 12, path.name


def test_only_the_nodes_know_the_host():
    for folder in ("refdiff_core",):
        for path in (ROOT / folder).rglob("*.py"):
            imports = re.findall(
                r"^\s*(?:from|import) (comfy\w*|folder_paths)\b", path.read_text(), re.M
            )
            assert not imports, path


def test_nothing_is_run_that_comes_from_elsewhere():
    for path in SOURCES:
        text = path.read_text()
        assert not re.search(r"\b(eval|exec|subprocess|os\.system|torch\.load)\(", text), path.name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_example_workflows_use_our_nodes_and_have_a_picture(path):
    graph = json.loads(path.read_text())
    ours = {node["type"] for node in graph["nodes"] if node["type"].startswith("RefDiff")}
    assert ours and ours <= set(IDS)
    assert path.with_suffix(".jpg").is_file()
    nodes = {node["id"]: node for node in graph["nodes"]}
    for link, source, slot, target, at, _ in graph["links"]:
        assert link in nodes[source]["outputs"][slot]["links"]
        assert nodes[target]["inputs"][at]["link"] == link


def test_there_are_eight_example_workflows():
    assert len(WORKFLOWS) == 8


def test_python_files_can_be_read_where_the_system_has_western_letters_only():
    """As on a Windows that was not told of UTF-8; other letters are written as escapes."""
    # whatever an environment in the checkout is called, it is not ours
    others = {ROOT / "build", *(each.parent for each in ROOT.rglob("pyvenv.cfg"))}
    ours = [path for path in ROOT.rglob("*.py") if not others & {*path.parents}]
    assert ROOT / "install.py" in ours
    for path in ours:
        path.read_text(encoding="utf-8").encode("cp1252")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_models_of_example_workflows_can_be_fetched_from_the_page(path):
    for node in json.loads(path.read_text())["nodes"]:
        models = node["properties"].get("models", [])
        assert len(models) == LOADERS.get(node["type"], ("", 0))[1]
        assert [each["name"] for each in models] == node["widgets_values"][: len(models)]
        for model in models:
            assert model["url"].startswith("https://huggingface.co/")
            assert model["url"].endswith("/" + model["name"])
            assert model["directory"] == LOADERS[node["type"]][0]


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_blueprints_are_whole(path):
    graph = json.loads(path.read_text())
    (outer,), (inner,) = graph["nodes"], graph["definitions"]["subgraphs"]
    assert outer["type"] == inner["id"] and inner["category"] == "Ref-Diff"
    assert graph["extra"]["BlueprintDescription"]
    ids = {each["id"] for each in inner["nodes"]}
    assert outer["id"] not in ids
    for link in inner["links"]:
        assert {link["origin_id"], link["target_id"]} <= ids | {-10, -20}
    assert {each["type"] for each in inner["nodes"] if "RefDiff" in each["type"]} <= set(IDS)


def test_every_language_names_the_nodes_that_there_are():
    for path in (ROOT / "locales").glob("*/nodeDefs.json"):
        assert set(json.loads(path.read_text())) <= set(IDS), path


def test_the_panel_speaks_every_language():
    english = (ROOT / "web" / "js" / "texts.js").read_text()
    keys = set(re.findall(r"^  (\w+): \"", english, re.M))
    languages = sorted(path for path in (ROOT / "locales").iterdir() if path.name != "en")
    assert [each.name for each in languages] == ["de", "es", "fr", "ja", "ko", "pt-BR", "ru", "zh"]
    for each in languages:
        words = json.loads((each / "main.json").read_text())["refdiffPanel"]
        assert set(words) == keys, each.name
        for key, text in words.items():
            said = re.search(rf'^  {key}: "(.*)",$', english, re.M)[1]
            holes = r"\{(\w+)\}"
            assert set(re.findall(holes, text)) == set(re.findall(holes, said)), (each.name, key)


def test_the_panel_needs_nothing_from_elsewhere():
    for path in (ROOT / "web" / "js").glob("*.js"):
        text = path.read_text()
        imports = re.findall(r"""(?:from|import\() ?"([^"]+)\"""", text)
        assert all(each.startswith(("./", "../../../scripts/app.js")) for each in imports), path
        assert not re.search(r"https?://(?!www\.w3\.org)", text), path.name
        assert len(text.splitlines()) <= 350, path.name
