"""The example graphs in ComfyUI's own page: all load, and the demo runs from it."""

import json

import numpy as np
import pytest
from graphs import EXAMPLES, iou
from server import GraphError

from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene


def example(name):
    return json.loads((EXAMPLES / f"{name}.json").read_text())


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.json")))
def test_every_example_graph_loads_without_a_red_node(page, name):
    if name == "refdiff_which_sam3_mask" and not page.server.has("SAM3_Detect"):
        pytest.skip("this ComfyUI has no SAM 3 (0.20 and newer have)")
    assert page.load(example(name)) == []
    assert page.count() == len(example(name)["nodes"])


def test_a_graph_with_an_unknown_node_is_seen_to_be_wrong(page):
    graph = example("refdiff_demo")
    graph["nodes"][3]["type"] = "RefDiffNothing"
    assert any("RefDiffNothing" in each for each in page.load(graph))
    page.load(example("refdiff_demo"))  # which is what the page brings back when it opens again
    page.open()


def test_a_graph_that_is_refused_is_seen_to_be_wrong(page):
    graph = example("refdiff_demo")
    kept = [each for each in graph["nodes"] if each["type"] == "RefDiffLoadDemo"]
    for output in kept[0]["outputs"]:
        output["links"] = []
    assert page.load({**graph, "nodes": kept, "links": []}) == []
    with pytest.raises(GraphError, match="refused"):
        page.run()


@pytest.mark.parametrize("new_nodes", [False, True], ids=["canvas", "nodes-2.0"])
def test_the_demo_graph_runs_from_the_page(page, new_nodes):
    page.open(**{"Comfy.VueNodes.Enabled": new_nodes})
    graph = example("refdiff_demo")
    assert page.load(graph) == []
    run = page.run()
    assert page.problems() == []
    (number,) = next(n["widgets_values"] for n in graph["nodes"] if n["type"] == "RefDiffLoadDemo")
    scene = sample_scene(HELD_OUT_SEED + number)
    target = max(range(len(scene.objects)), key=lambda at: scene.objects[at].radius)
    assert scene.objects[target].name == "red circle"
    saved = next(str(n["id"]) for n in graph["nodes"] if n["type"] == "SaveImage")
    painted = page.server.picture(run, saved)
    # "Keep everything else": what has changed is the mask
    changed = np.abs(painted.astype(int) - scene.image.astype(int)).max(-1) > 0
    assert iou(changed, scene.masks[target]) >= 0.7


def test_the_page_shows_the_help_of_every_node(page):
    for name in sorted(each for each in page.server.get("/object_info") if "RefDiff" in each):
        assert page.server.get(f"/extensions/refdiff/docs/{name}.md").startswith(b"# ")
