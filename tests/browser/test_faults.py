"""What the page says when something is wrong, and that it stops saying so."""

import pytest
from panels import TEXT, drawn, started
from server import GraphError

WRITE = """([id, text]) => {
  window.app.graph.getNodeById(id).widgets.find(each => each.name === "expressions").value = text;
}"""


def test_a_note_goes_with_the_run_that_said_it(opened):
    panel, _ = started(opened, "the purple ring")
    assert "Nothing found for 'the purple ring'" in panel.look()["status"]
    opened.page.evaluate(WRITE, [panel.name, TEXT])
    opened.run()
    panel.until(tabs=[TEXT])
    assert panel.look()["status"] == ""


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
