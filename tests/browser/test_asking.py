"""Candidates that a hand makes: points, boxes, the mask editor."""

import numpy as np
from graphs import iou
from panels import SCENE, TEXT, place, rerun, shoot, started


def test_a_click_on_nothing_asks_segment_anything_there(opened):
    panel, _ = started(opened)
    seen = panel.click(0.04, 0.97)
    assert "asked" in seen["status"]
    panel.click(0.3, 0.97, key="Alt")
    (kept,) = panel.state().values()
    (made,) = kept["made"]
    assert [point[2] for point in made["points"]] == [1, 0]
    opened.run()
    panel.wait()
    answers = [each for each in panel.look()["candidates"] if each["made"]]
    assert {each["made"] for each in answers} == {made["id"]}
    assert all(each["score"] is not None for each in answers)
    assert panel.look()["chosen"] == [0]
    shoot(panel, "asked")


def test_a_point_may_be_asked_within_a_candidate_too(opened):
    panel, shown = started(opened)
    *at, square = place(SCENE, "green square")
    panel.element('[data-mode="point"]').click()
    panel.click(*at)
    assert iou(rerun(panel, shown), square) > 0.7


def test_a_box_is_dragged_around_the_thing(opened):
    panel, shown = started(opened)
    _, _, square = place(SCENE, "green square")
    ys, xs = np.nonzero(square)
    height, width = square.shape
    box = (xs.min() - 1, ys.min() - 1, xs.max() + 2, ys.max() + 2)
    where = "id => [...window.app.graph.getNodeById(id).pos, ...window.app.canvas.ds.offset]"
    before = opened.page.evaluate(where, panel.name)
    panel.drag(box[0] / width, box[1] / height, box[2] / width, box[3] / height)
    assert opened.page.evaluate(where, panel.name) == before
    assert iou(rerun(panel, shown), square) > 0.7
    shoot(panel, "box")


def test_without_segment_anything_a_click_on_nothing_says_what_is_missing(opened):
    panel, _ = started(opened, sam=False)
    assert "SAM_MODEL" in panel.click(0.02, 0.02)["status"]
    assert panel.state() == {}


def test_the_mask_editor_hands_its_mask_back_as_a_candidate(opened):
    panel, shown = started(opened)
    before = panel.soft() >= 0.5
    panel.element('[data-action="edit"]').click()
    save = opened.page.get_by_role("button", name="Save").last
    save.wait_for(timeout=30_000)
    opened.page.wait_for_timeout(4000)  # until the editor has its picture
    shoot(panel, "editor")
    save.click()
    has_made = """id => window.app.graph.getNodeById(id).widgets
      .find(each => each.name === "panel").value.includes("clipspace")"""
    opened.page.wait_for_function(has_made, arg=panel.name, timeout=60_000)
    opened.page.wait_for_timeout(1500)
    (kept,) = panel.state().values()
    assert kept["picks"][TEXT] == [kept["made"][0]["id"]]
    assert iou(rerun(panel, shown), before) > 0.95
    made = [each["made"] for each in panel.look()["candidates"] if each["made"]]
    assert made == [kept["made"][0]["id"]]
