"""The example graphs that need no download, run to their end, and judged."""

import json

import numpy as np
import pytest
from graphs import DEMO, EXAMPLES, SAM3, SAVED, SEVERAL, iou, node, to_prompt
from server import GraphError

from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene

GRAPHS = sorted(path.stem for path in EXAMPLES.glob("*.json"))


def scene_of(prompt):
    return sample_scene(HELD_OUT_SEED + prompt[node(prompt, "RefDiffLoadDemo")]["inputs"]["scene"])


def nodes_of(name):
    return json.loads((EXAMPLES / f"{name}.json").read_text())["nodes"]


WITH_MODELS = [each for each in GRAPHS if any("models" in n["properties"] for n in nodes_of(each))]


def skip_without_sam3(server):
    if not server.has("SAM3_Detect"):
        pytest.skip("this ComfyUI has no SAM 3 (0.20 and newer have)")


def largest(scene, name):
    alike = [at for at, each in enumerate(scene.objects) if each.name == name]
    return scene.masks[max(alike, key=lambda at: scene.objects[at].radius)]


def painted(server, prompt):
    """What the graph saves, and its mask in [0, 1]."""
    mask = {"class_type": "MaskToImage", "inputs": {"mask": [node(prompt, "RefDiffSegment"), 0]}}
    shown = {"class_type": "PreviewImage", "inputs": {"images": ["mask", 0]}}
    run = server.run({**prompt, "mask": mask, "shown": shown})
    picture = server.picture(run, node(prompt, "SaveImage"))
    return picture, server.picture(run, "shown")[..., 0] / 255


def test_the_demo_takes_the_thing_away_and_leaves_all_else_as_it_was(server):
    prompt = to_prompt(server, DEMO)
    scene = scene_of(prompt)
    picture, mask = painted(server, prompt)
    squares = [
        found
        for found, each in zip(scene.masks, scene.objects, strict=True)
        if each.name == "yellow square"
    ]
    (square,) = [each for each in squares if (mask[each] > 0.5).mean() > 0.95]  # they fit both
    changed = np.abs(picture.astype(int) - scene.image.astype(int)).max(-1)
    assert changed[mask == 0].max() <= 1  # where the soft edge is less than a 255th
    wall = scene.image[~scene.masks.any(0)].mean(0)
    # what is left there looks like the wall, and nothing like the square
    assert np.abs(picture[square].mean(0) - wall).max() < 20
    assert np.abs(scene.image[square].mean(0) - wall).max() > 60


def test_a_graph_that_was_saved_before_the_panel_runs_as_it_did(server):
    prompt = to_prompt(server, "refdiff_demo", SAVED)
    values = prompt[node(prompt, "RefDiffSegment")]["inputs"]
    assert (values["expressions"], values["alpha"]) == ("the large red circle", 0.2)
    assert (values["sharpen"], values["words"]) == (1.5, "content")
    scene = scene_of(prompt)
    circle = largest(scene, "red circle")
    picture, mask = painted(server, prompt)
    assert iou(mask >= 0.5, circle) >= 0.9
    assert np.array_equal(picture[mask == 0], scene.image[mask == 0])
    assert np.abs(picture.astype(int) - scene.image.astype(int))[mask >= 0.5].mean() > 20


@pytest.mark.parametrize("name", sorted(path.stem for path in SAVED.glob("*.json")))
def test_every_graph_that_was_saved_before_fits_the_nodes(server, name):
    if name == "refdiff_which_sam3_mask":
        skip_without_sam3(server)
    to_prompt(server, name, SAVED)


def test_the_graph_of_several_expressions_finds_each(server):
    prompt = to_prompt(server, SEVERAL)
    scene = scene_of(prompt)
    mask = {"class_type": "MaskToImage", "inputs": {"mask": [node(prompt, "RefDiffFuseMasks"), 0]}}
    prompt |= {"mask": mask}
    prompt |= {"shown": {"class_type": "PreviewImage", "inputs": {"images": ["mask", 0]}}}
    run = server.run(prompt)
    for index, name in enumerate(("yellow circle", "yellow square", "black star")):
        assert iou(server.mask(run, "shown", index), largest(scene, name)) >= 0.7, name


@pytest.mark.parametrize("name", GRAPHS)
def test_every_graph_fits_the_nodes_that_there_are(server, name):
    if name == SAM3:
        skip_without_sam3(server)
    info, prompt = server.get("/object_info"), to_prompt(server, name)
    for each in prompt.values():
        assert not info[each["class_type"]].get("deprecated"), each["class_type"]


@pytest.mark.parametrize("name", WITH_MODELS)
def test_the_host_asks_for_the_models_and_finds_nothing_else_wrong(server, name):
    if name == SAM3:
        skip_without_sam3(server)
    server.put_image("example.png", sample_scene(HELD_OUT_SEED).image)
    wanted = {
        each["name"] for node in nodes_of(name) for each in node["properties"].get("models", [])
    }
    with pytest.raises(GraphError) as refused:
        server.post("/prompt", {"prompt": to_prompt(server, name)})
    nodes = json.loads(str(refused.value))["node_errors"].values()
    errors = [each["details"] for node in nodes for each in node["errors"]]
    for error in errors:
        assert any(each in error for each in wanted), error
    for each in wanted:
        assert any(each in error for error in errors), each


@pytest.mark.parametrize(
    ("change", "wrong"),
    [({"steps": -1}, "value_smaller_than_min"), ({"seed": "all"}, "invalid_input_type")],
)
def test_a_graph_with_another_fault_is_seen_to_be_wrong(server, change, wrong):
    prompt = to_prompt(server, WITH_MODELS[0])
    prompt[node(prompt, "KSampler")]["inputs"] |= change
    with pytest.raises(GraphError, match=wrong):
        server.post("/prompt", {"prompt": prompt})
