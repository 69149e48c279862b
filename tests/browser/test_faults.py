"""What the page says when something is wrong, and that it stops saying so."""

import pytest
from panels import TEXT, drawn, started
from server import GraphError

WRITE = """([id, text]) => {
  window.app.graph.getNodeById(id).widgets.find(each => each.name === "expressions").value = text;
}"""

SENT = """async runs => {
  const { sentBy } = await import(new URL("extensions/refdiff/js/outputs.js", location.href));
  return sentBy({ refdiff_panel: runs });
}"""

LOSE = """async id => {
  const panel = window.app.graph.getNodeById(id).refdiffPanel;
  const sent = structuredClone(panel.sent);
  sent.pictures[0].image.filename = "refdiff_gone.png";
  await panel.show(sent);
  // at once: where the hint makes the node another size, all is drawn anew
  const pixels = each => each.getContext("2d").getImageData(0, 0, each.width, each.height).data;
  return [panel.view.base, panel.view.top].map(each => pixels(each).some(value => value));
}"""


def test_a_note_goes_with_the_run_that_said_it(opened):
    panel, _ = started(opened, "the purple ring")
    assert "Nothing found for 'the purple ring'" in panel.look()["status"]
    opened.page.evaluate(WRITE, [panel.name, TEXT])
    opened.run()
    panel.until(tabs=[TEXT])
    assert panel.look()["status"] == ""


def test_of_a_list_every_run_is_shown_and_what_each_had_to_say(opened):
    nothing = "Nothing found for 'the ring'."
    first = {"kind": "fuse", "pictures": [1, 2], "notes": f"{nothing}\nA guess.", "left": 3}
    last = {"kind": "fuse", "pictures": [3], "notes": nothing, "left": 4}
    found = opened.page.evaluate(SENT, [first, {**last, "notes": ""}, last])
    assert found["pictures"] == [1, 2, 3, 3] and found["left"] == 11
    assert found["notes"] == f"{nothing}\nA guess."


def test_pictures_that_are_gone_leave_the_hint_and_nothing_else(opened):
    panel, _ = started(opened)
    panel.click(0.02, 0.98)  # a question, which is drawn over the picture
    assert opened.page.evaluate(LOSE, panel.name) == [False, False]
    assert panel.look()["hint"] == "The pictures of the last run are gone. Press Run."


def test_a_mask_that_cannot_be_handed_to_the_editor_is_said(opened):
    panel, _ = started(opened)
    opened.page.route("**/upload/image", lambda route: route.fulfill(status=404))
    panel.element('[data-action="edit"]').click()
    opened.page.wait_for_timeout(500)
    opened.page.unroute("**/upload/image")
    assert panel.look()["status"].startswith("The mask editor cannot be opened: 404")


def test_words_that_scripts_know_are_words_like_others(opened):
    panel, _ = started(opened, "constructor", min_present=0)
    seen = panel.look()
    assert seen["chosen"] and "not among the candidates" not in seen["status"]
    other = next(each for each in seen["tiles"] if each not in seen["chosen"])
    panel.element(f'.refdiff-tile[data-index="{other}"]').click()
    assert panel.look()["chosen"] == [other]


def test_an_empty_text_is_answered_in_the_page_with_an_example_and_no_path(opened):
    renew(opened)  # with all that the page shows around the graph
    found, _ = drawn(opened, " ")
    assert opened.load(found.graph()) == []
    with pytest.raises(GraphError):
        opened.run()
    said = opened.page.get_by_text("There is no expression. Write what to find").first
    said.wait_for(timeout=20_000)
    assert "custom_nodes" not in said.inner_text()
    renew(opened)


def renew(opened):
    new_nodes = opened.page.evaluate("() => Boolean(window.LiteGraph.vueNodesMode)")
    opened.open(**{"Comfy.VueNodes.Enabled": new_nodes})
