"""What was chosen stays with the graph and its picture."""

from gestures import Panel
from graphs import iou
from panels import SCENE, place, rerun, shoot, started


def test_what_was_chosen_is_undone_saved_and_copied_with_the_graph(opened):
    panel, shown = started(opened)
    *at, square = place(SCENE, "green square")
    panel.click(*at)
    kept = panel.state()
    assert kept
    saved = opened.page.evaluate("() => window.app.graph.serialize()")
    opened.page.keyboard.press("Control+z")
    opened.page.wait_for_timeout(1200)
    panel = panel.again()
    panel.wait()
    assert panel.state() == {}
    opened.page.keyboard.press("Control+y")
    opened.page.wait_for_timeout(1200)
    panel = panel.again()
    panel.wait()
    assert panel.state() == kept
    assert opened.load(saved) == []
    panel = Panel(opened)
    assert panel.state() == kept
    assert iou(rerun(panel, shown), square) > 0.8


def test_a_reload_brings_picture_and_choice_back(opened):
    panel, _ = started(opened)
    *at, square = place(SCENE, "green square")
    panel.click(*at)
    kept = panel.state()
    opened.page.wait_for_timeout(1500)  # until the page has kept its draft
    opened.page.reload()
    opened.wait_ready()
    panel = Panel(opened)
    panel.wait()
    assert panel.state() == kept
    assert iou(panel.soft() >= 0.5, square) > 0.8


def test_another_picture_says_that_the_choice_is_not_its_own(opened):
    panel, _ = started(opened)
    *at, _ = place(SCENE, "green square")
    panel.click(*at)
    opened.page.evaluate(
        """() => { const node = window.app.graph.nodes.find(n => n.type === "RefDiffLoadDemo");
        node.widgets[0].value = 5; }"""
    )
    opened.run()
    seen = panel.wait()
    assert "another picture" in seen["status"] and not seen["tip"]
    shoot(panel, "elsewhere")
    panel.element('[data-action="forget"]').click()
    assert panel.state() == {}


def test_an_interrupted_run_leaves_the_panel_as_it_was(opened):
    panel, _ = started(opened)
    before = panel.look()["chosen"]
    opened.page.evaluate(
        """async () => { await window.app.queuePrompt(0, 1); await window.app.api.interrupt(); }"""
    )
    opened.page.wait_for_timeout(3000)
    assert panel.look()["chosen"] == before
    assert panel.click(*place(SCENE, "green square")[:2])["chosen"] != before
