"""What a hand chooses and makes, over the API of a real ComfyUI: what the panel would write."""

import json

import numpy as np
import pytest
from graphs import iou, segment_graph, show_mask

from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene

SEED = HELD_OUT_SEED + 8
"""A large and a small red circle, a green square, a black cross; not square."""


@pytest.fixture(scope="module")
def scene(server):
    found = sample_scene(SEED)
    server.put_image("hand.png", found.image)
    return found


def mask_of(scene, name):
    return next(m for m, item in zip(scene.masks, scene.objects, strict=True) if item.name == name)


def shares(mask):
    """The middle of a mask and the box around it, as shares of the picture."""
    ys, xs = np.nonzero(mask)
    height, width = mask.shape
    box = [xs.min() / width, ys.min() / height, (xs.max() + 1) / width, (ys.max() + 1) / height]
    return [(xs.mean() + 0.5) / width, (ys.mean() + 0.5) / height], box


@pytest.mark.parametrize("question", ["points", "box"])
def test_a_place_that_a_hand_points_at_is_answered_by_segment_anything(server, scene, question):
    square = mask_of(scene, "green square")
    point, box = shares(square)
    text = "the large red circle"
    graph, *_, segment, shown = segment_graph("hand.png", text)
    (sent,) = server.run(graph.nodes).outputs[segment.name]["refdiff_panel"]
    made = (
        {"id": "h1", "points": [[*point, 1]]} if question == "points" else {"id": "h1", "box": box}
    )
    choice = {sent["pictures"][0]["id"]: {"picks": {text: ["h1"]}, "made": [made]}}
    segment.set(panel=json.dumps(choice))
    run = server.run(graph.nodes)
    assert iou(server.mask(run, shown.name), square) > 0.7
    (sent,) = run.outputs[segment.name]["refdiff_panel"]
    assert {each["made"] for each in sent["pictures"][0]["answers"][0]["candidates"]} == {
        None,
        "h1",
    }


def picked(server, text, picks="1", **shape):
    """Masks of Segment and of a Pick behind it, and what the latter's panel was sent."""
    graph, *_, segment, shown = segment_graph("hand.png", text)
    pick = graph.add("RefDiffPick", candidates=segment[1], picks=picks, **shape)
    own = show_mask(graph, pick, 0)
    run = server.run(graph.nodes)
    (sent,) = run.outputs[pick.name]["refdiff_panel"]
    return server.mask(run, shown.name), server.mask(run, own.name), sent


@pytest.mark.parametrize("text", ["everything except the green square", "the purple ring"])
def test_picks_own_shape_holds_where_it_has_nothing_to_pick(server, scene, text):
    plain, inverted, _ = picked(server, text, invert=True)
    assert np.array_equal(inverted, ~plain)
    _, grown, _ = picked(server, text, grow=-6)
    assert (plain & ~grown).any() == plain.any() and not (grown & ~plain).any()


def test_what_is_not_there_is_not_picked_by_its_number(server, scene):
    plain, own, sent = picked(server, "the purple ring")
    assert not plain.any() and not own.any() and "Nothing found" in sent["notes"]
    (answer,) = sent["pictures"][0]["answers"]
    assert answer["default"] == [] and answer["candidates"]


def test_a_threshold_cuts_within_each_of_several_things(server, scene):
    circles = mask_of(scene, "red circle")
    text = "all the red circles"
    graph, *_, segment, shown = segment_graph("hand.png", text)
    whole = server.mask(server.run(graph.nodes), shown.name)
    segment.set(threshold=0.3, union=3)
    run = server.run(graph.nodes)
    cut = server.mask(run, shown.name)
    assert (whole & circles).any() and cut.any() and not (cut & ~whole).any()
    (answer,) = run.outputs[segment.name]["refdiff_panel"][0]["pictures"][0]["answers"]
    assert answer["several"] and not answer["best"]


def test_a_place_has_an_answer_of_its_pictures_size(ask):
    assert ask("asked") == [[96, 160], [1300, 2100]]


def test_what_shrank_to_nothing_has_neither_a_box_nor_segs(ask):
    found = ask("shrunk")
    assert found["one"] == [1, True, True]
    assert found["gone"] == [0, True, False]
    assert found["several"][0] > 1 and found["several"][1:] == [True, True]


def test_what_does_not_fit_is_told_in_one_sentence(ask, tmp_path):
    found = ask("refused")
    assert found["sets"].startswith(
        "MaskError: There are more pictures than the 2 that the proposal"
    )
    assert found["sam"].startswith(
        "ModelError: This SAM_MODEL (dict) is not a Segment Anything model"
    )
    told = ask("damaged", str(tmp_path))
    # a graph from somebody else names no file beside ComfyUI's own folders
    for name in ("beside", "rooted", "none"):
        assert "no such file in ComfyUI's own folders" in told.pop(name)
    for name, each in told.items():
        assert each.startswith(
            f"MaskError: The painted mask '{name}.png [input]' cannot be read"
        ), each


def test_what_no_ranking_admits_has_no_score_and_counts_as_sure_in_boxes_and_segs(ask):
    there, scores, boxes, confidence = ask("rejected")

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    (row,) = json.loads(scores, parse_constant=refuse)
    assert there and row["found"] and row["score"] is None
    assert row["candidates"][0]["total"] is None
    assert [each["score"] for row in boxes for each in row] == confidence == [1, 1]


def test_results_are_kept_off_the_device(ask):
    assert ask("kept") == "cpu"


def test_maps_are_not_spread_where_the_picture_asks_the_text_alone(ask):
    alone, together = ask("spread")
    assert len(alone) >= 4 and set(together) == {None}
    assert all(each.endswith("Set propagation to 0.") for each in alone)
    assert all(each.startswith("ModelError: ") for each in alone)
