"""The panel in ComfyUI's own page, by mouse, in both renderers."""

import pytest
from gestures import Panel
from graphs import iou
from panels import SCENE, TEXT, drawn, place, rerun, shoot, started


def test_a_node_that_has_not_run_says_what_to_do(opened):
    found, _ = drawn(opened)
    assert opened.load(found.graph()) == []
    panel = Panel(opened)
    assert "Press Run" in panel.look()["hint"]
    shoot(panel, "empty")


def test_three_gestures_lead_from_the_wrong_one_to_the_right_one(opened):
    panel, shown = started(opened, "the red circle")
    circles = [place(SCENE, "red circle", largest=each) for each in (True, False)]
    x, y, other = next(each for each in circles if iou(panel.soft() >= 0.5, each[2]) < 0.5)
    panel.click(x, y)
    assert iou(panel.soft() >= 0.5, other) > 0.8
    assert iou(rerun(panel, shown), other) > 0.8
    shoot(panel, "chosen")


def test_the_pointer_shows_what_lies_under_it(opened):
    panel, _ = started(opened)
    x, y, _ = place(SCENE, "green square")
    seen = panel.move(x, y)
    assert seen["hovered"] is not None
    assert "Candidate" in seen["tip"] and "score" in seen["tip"]
    shoot(panel, "hover")
    assert panel.move(0.02, 0.98)["hovered"] is None


def test_shift_adds_and_alt_takes_away(opened):
    panel, shown = started(opened)
    *green, square = place(SCENE, "green square")
    *red, circle = place(SCENE, "red circle")
    assert len(panel.click(*green, key="Shift")["chosen"]) == 2
    assert iou(rerun(panel, shown), circle | square) > 0.8
    left = panel.click(*red, key="Alt")
    assert len(left["chosen"]) == 1
    assert iou(rerun(panel, shown), square) > 0.8
    assert panel.click(*green, key="Alt")["chosen"] == left["chosen"]  # one always stays


def test_a_click_again_at_the_same_place_goes_outwards(opened):
    panel, _ = started(opened)
    *at, _ = place(SCENE, "green square")
    first = panel.click(*at)
    second = panel.click(*at)
    areas = [each["area"] for each in first["candidates"]]
    assert areas[second["chosen"][0]] > areas[first["chosen"][0]]


FEWER = """async id => {
  const panel = window.app.graph.getNodeById(id).refdiffPanel;
  const sent = structuredClone(panel.sent);
  const [answer] = sent.pictures[0].answers;
  Object.assign(answer, {candidates: [{...answer.candidates[0], like: 0}], default: [0]});
  await panel.show(sent);
}"""


def test_a_click_belongs_to_the_answer_that_it_was_made_on(opened):
    panel, _ = started(opened, "the red circle")
    *at, _ = place(SCENE, "green square")
    panel.click(*at)
    last = panel.click(*at)["chosen"][0]
    assert panel.move(*at)["hovered"] == last
    opened.page.evaluate(FEWER, panel.name)
    seen = panel.move(*at)
    assert seen["hovered"] is None and not seen["tip"]


def test_tiles_choose_and_hold_no_two_of_a_kind(opened):
    panel, _ = started(opened)
    seen = panel.look()
    assert len(seen["tiles"]) < len(seen["candidates"])
    panel.element(f'.refdiff-tile[data-index="{seen["tiles"][2]}"]').click()
    assert panel.look()["chosen"] == [seen["tiles"][2]]


def test_lines_have_tabs_and_pictures_have_pages(opened):
    found, shown = drawn(opened, "the red circle\nthe green square")
    other = found.add("RefDiffLoadDemo", (20, 400), (300, 200), scene=5)
    segment = next(each for each in found.nodes if each["type"] == "RefDiffSegment")
    batch = found.add(
        "ImageBatch", (20, 700), (300, 60), image1=(1, "IMAGE"), image2=(other, "IMAGE")
    )
    slot = next(each for each in segment["inputs"] if each["name"] == "image")
    link = next(each for each in found.links if each[0] == slot["link"])
    old = next(each for each in found.nodes if each["id"] == link[1])
    old["outputs"][link[2]]["links"].remove(link[0])
    link[1], link[2] = batch, 0
    found.nodes[-1]["outputs"][0]["links"].append(link[0])
    assert opened.load(found.graph()) == []
    opened.run()
    panel = Panel(opened)
    panel.until(tabs=["the red circle", "the green square"])
    panel.press("ArrowDown")
    panel.until(tab=1)
    panel.press("PageDown")
    panel.until(page=1, tab=1)
    panel.press("Digit1")
    (kept,) = panel.state().values()
    assert list(kept["picks"]) == ["the green square"]
    shoot(panel, "pages")


@pytest.mark.parametrize("kind", ["RefDiffFuseMasks", "RefDiffPick"])
def test_the_other_nodes_have_the_panel_too(opened, kind):
    found, _ = drawn(opened)
    segment = next(each["id"] for each in found.nodes if each["type"] == "RefDiffSegment")
    demo = found.nodes[0]["id"]
    if kind == "RefDiffPick":
        node = found.add(kind, (400, 760), (420, 600), candidates=(segment, "candidates"))
    else:
        parts = {"model": (demo, "MODEL"), "clip": (demo, "CLIP"), "vae": (demo, "VAE")}
        looked = found.add(
            "RefDiffAttention", (20, 400), (300, 300), image=(demo, "IMAGE"), expressions=TEXT,
            **parts,
        )  # fmt: skip
        seen = found.add(
            "RefDiffSAMProposals", (20, 760), (300, 200), sam_model=(demo, "SAM_MODEL"),
            image=(demo, "IMAGE"), attention=(looked, "attention"),
        )  # fmt: skip
        node = found.add(
            kind, (400, 760), (420, 600), attention=(looked, "attention"),
            proposals=(seen, "proposals"),
        )  # fmt: skip
    masks = found.add("MaskToImage", (900, 760), (200, 40), mask=(node, "mask"))
    shown = found.add("PreviewImage", (900, 860), (300, 300), images=(masks, "IMAGE"))
    assert opened.load(found.graph()) == []
    opened.run()
    panel = Panel(opened, kind)
    panel.wait()
    *at, square = place(SCENE, "green square")
    panel.click(*at)
    assert iou(rerun(panel, str(shown)), square) > 0.8
    shoot(panel, kind)
    assert "Ref-Diff Segment can ask" in panel.click(0.02, 0.98)["status"]
