"""The example graphs in ComfyUI's own page: all load, and the demo runs from it."""

import json

import numpy as np
import pytest
from graphs import DEMO, EXAMPLES, SAM3, SAVED, iou
from server import GraphError

from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene


def example(name):
    return json.loads((EXAMPLES / f"{name}.json").read_text())


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.json")))
def test_every_example_graph_loads_without_a_red_node(page, name):
    if name == SAM3 and not page.server.has("SAM3_Detect"):
        pytest.skip("this ComfyUI has no SAM 3 (0.20 and newer have)")
    assert page.load(example(name)) == []
    assert page.count() == len(example(name)["nodes"])


def test_a_graph_with_an_unknown_node_is_seen_to_be_wrong(page):
    graph = example(DEMO)
    graph["nodes"][3]["type"] = "RefDiffNothing"
    assert any("RefDiffNothing" in each for each in page.load(graph))
    page.load(example(DEMO))  # which is what the page brings back when it opens again
    page.open()


def test_a_graph_that_is_refused_is_seen_to_be_wrong(page):
    graph = example(DEMO)
    kept = [each for each in graph["nodes"] if each["type"] == "RefDiffLoadDemo"]
    for output in kept[0]["outputs"]:
        output["links"] = []
    assert page.load({**graph, "nodes": kept, "links": []}) == []
    with pytest.raises(GraphError, match="refused"):
        page.run()


@pytest.mark.parametrize("new_nodes", [False, True], ids=["canvas", "nodes-2.0"])
def test_the_demo_graph_runs_from_the_page(page, new_nodes):
    page.open(**{"Comfy.VueNodes.Enabled": new_nodes})
    graph = example(DEMO)
    assert page.load(graph) == []
    run = page.run()
    assert page.problems() == []
    number, *_ = next(n["widgets_values"] for n in graph["nodes"] if n["type"] == "RefDiffLoadDemo")
    scene = sample_scene(HELD_OUT_SEED + number)
    squares = [
        mask
        for mask, each in zip(scene.masks, scene.objects, strict=True)
        if each.name == "yellow square"
    ]
    saved = next(str(n["id"]) for n in graph["nodes"] if n["type"] == "SaveImage")
    painted = page.server.picture(run, saved)
    # "Keep everything else": what has changed is the mask, grown; the words fit two squares
    changed = np.abs(painted.astype(int) - scene.image.astype(int)).max(-1) > 30
    assert max(iou(changed, each) for each in squares) >= 0.7


BLUEPRINTS = EXAMPLES.parent / "subgraphs"
VALUES = """() => window.app.graph.nodes.filter(each => each.type.startsWith("RefDiff")).map(each =>
  [each.type, Object.fromEntries((each.widgets ?? []).map(one => [one.name, one.value]))])"""


@pytest.mark.parametrize("name", sorted(path.stem for path in SAVED.glob("*.json")))
def test_a_graph_that_was_saved_before_the_panel_opens_with_its_values(page, name):
    if name == "refdiff_which_sam3_mask" and not page.server.has("SAM3_Detect"):
        pytest.skip("this ComfyUI has no SAM 3 (0.20 and newer have)")
    graph = json.loads((SAVED / f"{name}.json").read_text())
    assert page.load(graph) == []
    for kind, values in page.page.evaluate(VALUES):
        saved = next(each["widgets_values"] for each in graph["nodes"] if each["type"] == kind)
        # in their old places; what is new comes behind and has its default
        assert list(values.values())[: len(saved)] == saved, kind


@pytest.mark.parametrize("path", sorted(BLUEPRINTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_blueprint_opens_with_the_panel_inside(page, path):
    if not page.server.has("SAM3_Detect"):
        pytest.skip("this ComfyUI is older than blueprints")
    assert any(path.stem in str(each) for each in page.server.get("/global_subgraphs").values())
    assert page.load(json.loads(path.read_text())) == []
    inside = "() => [...window.app.rootGraph.subgraphs.values()].flatMap(each => each.nodes)"
    assert page.page.evaluate(f"({inside})().filter(each => each.refdiffPanel).length") == 1
    assert page.page.evaluate(f"({inside})().filter(each => each.has_errors).length") == 0


OFFERED = """() => window.app.ui.settings.settingsLookup["Comfy.Locale"].options.map(
  each => each.value)"""
SPOKEN = """() => {
  const node = window.LiteGraph.createNode("RefDiffSegment");
  window.app.graph.add(node);
  return [node.title, node.widgets[0].label, node.refdiffPanel.hint.textContent];
}"""


def test_the_page_offers_the_languages_that_the_pack_speaks(page):
    if not page.server.has("SAM3_Detect"):
        pytest.skip("this page has fewer languages")
    spoken = {path.name for path in (EXAMPLES.parent / "locales").iterdir()}
    assert spoken - set(page.page.evaluate(OFFERED)) == {"de"}
    page.open(**{"Comfy.Locale": "pt-BR"})
    title, lines, hint = page.page.evaluate(SPOKEN)
    page.open(**{"Comfy.Locale": "en"})
    assert (title, lines) == ("Ref-Diff Segmentar", "expressões")
    assert hint.startswith("Clique em Executar")


def test_the_page_shows_the_help_of_every_node(page):
    for name in sorted(each for each in page.server.get("/object_info") if "RefDiff" in each):
        assert page.server.get(f"/extensions/refdiff/docs/{name}.md").startswith(b"# ")
