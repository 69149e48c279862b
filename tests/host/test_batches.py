"""Several pictures, several expressions, lists; and what of it does not fit together."""

import json

import numpy as np
import pytest
from graphs import ATTENTION, MASK, SAM, iou, known, show_mask
from server import Graph, GraphError


@pytest.fixture
def cases(server):
    """Two scenes of one size, each with an object that has its name for itself."""
    found = known(server, 12, first=5)
    first = found[0]
    second = next(each for each in found[1:] if each.mask.shape == first.mask.shape)
    return first, second


def segment(graph, demo, image, cases):
    return graph.add(
        "RefDiffSegment", model=demo[0], clip=demo[1], vae=demo[2], sam_model=demo[3],
        refdiff_clip=demo[4], image=image, expressions="\n".join(each.text for each in cases),
        **ATTENTION, **MASK,
    )  # fmt: skip


def batch_of(cases):
    graph = Graph()
    demo = graph.add("RefDiffLoadDemo", scene=0)
    loaded = [graph.add("LoadImage", image=each.name) for each in cases]
    return graph, demo, graph.add("ImageBatch", image1=loaded[0][0], image2=loaded[1][0])


def test_pictures_times_expressions_give_masks_in_order(server, cases):
    graph, demo, batch = batch_of(cases)
    found = segment(graph, demo, batch[0], cases)
    shown = show_mask(graph, found, 0)
    text_node = graph.add("PreviewAny", source=found[2])
    boxes = graph.add("PreviewAny", source=found[3])
    pick = graph.add("RefDiffPick", candidates=found[1], picks="1; 2\n1,2; 1")
    picked = show_mask(graph, pick, 0)
    run = server.run(graph.nodes)
    masks, picks = (
        [server.mask(run, each.name, index) for index in range(4)] for each in (shown, picked)
    )
    assert len(run.outputs[shown.name]["images"]) == 4
    # picture 0 with expression 0, and picture 1 with expression 1
    assert iou(masks[0], cases[0].mask) > 0.5
    assert iou(masks[3], cases[1].mask) > 0.5
    rows = json.loads(run.outputs[text_node.name]["text"][0])
    order = [(row["image"], row["expression"]) for row in rows]
    assert order == [(i, each.text) for i in (0, 1) for each in cases]
    placed = json.loads(run.outputs[boxes.name]["text"][0])
    assert len(placed) == 2
    assert {"x", "y", "width", "height", "score", "label"} == set(placed[0][0])
    # an entry of picks for each of the four, in the same order
    assert [np.array_equal(*pair) for pair in zip(masks, picks, strict=True)] == [
        True, False, True, True,
    ]  # fmt: skip
    assert rows[2]["missing"] and not picks[2].any()  # what is not there has no numbers
    sent = run.outputs[pick.name]["refdiff_panel"][0]["pictures"]
    assert [len(each["answers"]) for each in sent] == [2, 2]


def test_a_list_of_pictures_is_worked_through_one_by_one(server, cases):
    graph, demo, batch = batch_of(cases)
    listed = graph.add("RebatchImages", images=batch[0], batch_size=1)
    found = segment(graph, demo, listed[0], cases[1:])
    shown = show_mask(graph, found, 0)
    run = server.run(graph.nodes)
    assert len(run.outputs[shown.name]["images"]) == 2
    assert iou(server.mask(run, shown.name, 1), cases[1].mask) > 0.5


def test_lines_asked_together_give_what_each_gives_alone(server, cases):
    graph, demo, batch = batch_of(cases)
    whole = segment(graph, demo, batch[0], cases)
    single = [segment(graph, demo, batch[0], [each]) for each in cases]
    shown = [show_mask(graph, each, 0) for each in (whole, *single)]
    run = server.run(graph.nodes)
    for picture in (0, 1):
        for number in (0, 1):
            alone = server.mask(run, shown[1 + number].name, picture)
            together = server.mask(run, shown[0].name, 2 * picture + number)
            # of what is not in a picture both are empty
            assert iou(together, alone) > 0.98 or not (together.any() or alone.any())


def white(server, size_hw):
    return server.put_image("white.png", np.full((*size_hw, 3), 255, np.uint8))


def test_a_hint_of_another_size_is_refused_with_both_sizes(server, cases):
    graph = Graph()
    hint = graph.add("LoadImageMask", image=white(server, (40, 60)), channel="red")
    loaded = graph.add("LoadImage", image=cases[0].name)
    fuse = graph.add("RefDiffFuseMasks", attention=hint[0], image=loaded[0], **MASK)
    show_mask(graph, fuse, 0)
    height, width = cases[0].mask.shape
    with pytest.raises(GraphError, match=rf"60 x 40 pixels, but the picture is {width} x {height}"):
        server.run(graph.nodes)


def test_proposals_of_fewer_pictures_or_expressions_are_refused(server, cases):
    graph, demo, batch = batch_of(cases)
    one = graph.add("LoadImage", image=cases[0].name)
    texts = "\n".join(each.text for each in cases)
    model = {"model": demo[0], "clip": demo[1], "vae": demo[2]}
    attention = [
        graph.add("RefDiffAttention", **model, image=image, expressions=text, **ATTENTION)
        for image, text in ((batch[0], texts), (one[0], cases[0].text))
    ]
    sam = graph.add(
        "RefDiffSAMProposals", sam_model=demo[3], image=batch[0], attention=attention[0][0], **SAM
    )
    fuse = graph.add("RefDiffFuseMasks", attention=attention[1][0], proposals=sam[0], **MASK)
    show_mask(graph, fuse, 0)
    with pytest.raises(GraphError, match="made for 2 expressions, but there are 1"):
        server.run(graph.nodes)
