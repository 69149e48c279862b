"""How many, in a real ComfyUI: all of them, everything but, lists, lines that only take away."""

import json

import numpy as np
import pytest
from graphs import ATTENTION, MASK, SAM, Graph, iou, segment_graph, show_mask

from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene

SEED = HELD_OUT_SEED + 203_218
"""Two yellow squares, a yellow star, an orange cross, circle and triangle; not square."""


@pytest.fixture(scope="module")
def scene(server):
    found = sample_scene(SEED, count=(5, 6))
    server.put_image("several.png", found.image)
    return found


def masks_of(scene, *names):
    return [mask for mask, item in zip(scene.masks, scene.objects, strict=True)
            if {item.name, item.shape} & {*names}]  # fmt: skip


def ask(server, text, **settings):
    """The masks of every line, the node's own outputs, and the graph's run."""
    graph, *_, segment, shown = segment_graph("several.png", text, **settings)
    scores = graph.add("PreviewAny", source=segment[2])
    run = server.run(graph.nodes)
    count = len(run.outputs[shown.name]["images"])
    masks = [server.mask(run, shown.name, index) for index in range(count)]
    return masks, run, segment, json.loads(run.outputs[scores.name]["text"][0])


def test_all_of_a_kind_are_one_mask_and_each_is_one_by_itself(server, scene):
    squares = masks_of(scene, "yellow square")
    (mask,), _, _, told = ask(server, "all the yellow squares")
    assert len(squares) == 2 and iou(mask, np.any(squares, 0)) >= 0.75
    assert told[0]["objects"] == 2
    masks, *_ = ask(server, "all the yellow squares", each=True)
    assert len(masks) == 2
    for square in squares:
        assert max(iou(mask, square) for mask in masks) >= 0.7


def test_everything_except_a_thing_is_the_rest_of_the_picture(server, scene):
    (star,) = masks_of(scene, "star")
    (mask,), *_ = ask(server, "everything except the star")
    assert iou(mask, ~star) >= 0.97 and iou(~mask, star) >= 0.7


def test_a_negative_line_alone_gives_the_rest_and_no_mask_of_its_own(server, scene):
    (circle,) = masks_of(scene, "circle")
    masks, *_, told = ask(server, "not: the circle")
    assert len(masks) == len(told) == 1
    assert iou(masks[0], ~circle) >= 0.97 and iou(~masks[0], circle) >= 0.7
    masks, *_ = ask(server, "the star\nnot: the circle")
    assert len(masks) == 1 and not (masks[0] & circle).any()


def test_a_list_is_one_mask_and_notes_say_how_it_was_read(server, scene):
    (star,), (circle,) = masks_of(scene, "star"), masks_of(scene, "circle")
    (mask,), run, segment, _ = ask(server, "star . circle")
    assert iou(mask, star | circle) >= 0.7
    said = "2 things, whose masks are joined: 'star', 'circle'"
    assert said in run.outputs[segment.name]["text"][0]
    _, run, segment, _ = ask(server, "face . hair")
    assert "joined: 'face', 'hair'" in run.outputs[segment.name]["refdiff_panel"][0]["notes"]
    _, run, segment, _ = ask(server, "the star")
    assert run.outputs[segment.name]["refdiff_panel"][0]["notes"] == ""


def test_single_nodes_give_what_the_one_node_gives(server, scene):
    text = "all the yellow squares\nthe star . the circle\nnot: the triangle"
    masks, *_ = ask(server, text)
    graph = Graph()
    demo = graph.add("RefDiffLoadDemo", scene=0)
    loaded = graph.add("LoadImage", image="several.png")
    attention = graph.add(
        "RefDiffAttention", model=demo[0], clip=demo[1], vae=demo[2], image=loaded[0],
        expressions=text, **ATTENTION,
    )  # fmt: skip
    sam = graph.add(
        "RefDiffSAMProposals", sam_model=demo[3], image=loaded[0], attention=attention[0], **SAM
    )
    clip = graph.add(
        "RefDiffCLIPScore", refdiff_clip=demo[4], image=loaded[0], proposals=sam[0],
        expressions=text,
    )  # fmt: skip
    fuse = graph.add(
        "RefDiffFuseMasks", attention=attention[0], proposals=sam[0], scores=clip[0], **MASK
    )
    shown = show_mask(graph, fuse, 0)
    run = server.run(graph.nodes)
    assert len(masks) == len(run.outputs[shown.name]["images"]) == 2
    for index, mask in enumerate(masks):
        assert np.array_equal(server.mask(run, shown.name, index), mask)
