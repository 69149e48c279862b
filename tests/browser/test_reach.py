"""The panel without a mouse: by keyboard, by touch, by screen reader."""

import numpy as np
from gestures import Panel
from graphs import iou
from page import Page
from panels import SCENE, TEXT, place, rerun, shoot, started

FOCUS = """id => {
  const {refdiffPanel: panel} = window.app.graph.getNodeById(id);
  const at = document.activeElement;
  return at === panel.view.top ? "picture" : panel.element.contains(at)
    ? at.dataset.mode ?? at.dataset.action ?? at.dataset.name ?? at.getAttribute("role") : "";
}"""


def test_keys_choose_move_and_clear(opened):
    panel, _ = started(opened)
    first = panel.look()
    # much alike are one tile, which any of their numbers chooses
    one, two, three = (
        next(each["like"] for each in first["candidates"] if each["rank"] == rank)
        for rank in (1, 2, 4)
    )
    assert first["chosen"] == [one]
    assert panel.press("Digit2")["chosen"] == [two]
    assert panel.press("Shift+Digit4")["chosen"] == [two, three]
    assert panel.press("Alt+Digit2")["chosen"] == [three]
    assert panel.press("ArrowRight")["active"] is not None
    active = panel.press("ArrowRight")["active"]
    assert panel.press("Enter")["chosen"] == [active]
    nodes = opened.count()
    panel.press("Delete")
    assert opened.count() == nodes  # the node itself stays
    assert panel.press("Escape")["chosen"] == first["chosen"]
    assert panel.state() == {}


def focus(panel):
    """What of the panel has the keyboard: the picture, a mode, a slider; "" for none."""
    return panel.page.page.evaluate(FOCUS, panel.name)


def tab_to(panel, wanted, key="Tab"):
    """Press Tab until something has the keyboard; what was passed."""
    passed = []
    while focus(panel) != wanted:
        panel.page.page.keyboard.press(key)
        passed.append(focus(panel))
        assert len(passed) < 30, passed
    return passed


def test_the_keyboard_alone_leads_to_another_choice_and_its_mask(opened):
    panel, shown = started(opened)
    *_, square = place(SCENE, "green square")
    press = opened.page.keyboard.press
    panel.element("button").focus()  # where the page's own Tab key comes into the node
    tab_to(panel, "picture")
    for _ in range(20):
        press("ArrowRight")
        seen = panel.look()
        assert f"Candidate {seen['candidates'][seen['active']]['rank']}" in seen["status"]
        press("Enter")
        if iou(panel.soft() >= 0.5, square) > 0.8:
            break
    assert iou(rerun(panel, shown), square) > 0.8


def test_tab_passes_all_that_the_panel_has_and_tiles_are_one_stop(opened):
    panel, _ = started(opened)
    panel.element("button").focus()
    passed = tab_to(panel, "invert")
    assert passed.count("option") == 1
    assert {"add", "remove", "point", "edit", "picture", "grow", "feather"} <= {*passed}
    tab_to(panel, "option", "Shift+Tab")
    first = panel.look()
    opened.page.keyboard.press("ArrowRight")
    seen = panel.look()
    assert focus(panel) == "option" and seen["active"] != first["active"]
    opened.page.keyboard.press("Enter")
    assert panel.look()["chosen"] == [seen["active"]]
    assert focus(panel) == "option"


def test_the_keyboard_stays_in_the_panel_when_a_button_goes(opened):
    panel, _ = started(opened)
    panel.press("Digit2")
    panel.element('[data-action="clear"]').focus()
    opened.page.keyboard.press("Enter")
    assert panel.state() == {} and focus(panel) == "picture"


def test_the_keyboard_asks_at_a_point_and_in_a_box(opened):
    panel, shown = started(opened)
    x, y, square = place(SCENE, "green square")
    panel.element('[data-mode="point"]').focus()
    opened.page.keyboard.press("Enter")
    ways = [("ArrowRight", "ArrowLeft", x), ("ArrowDown", "ArrowUp", y)]

    def go(goal, axis, at=0.5):
        more, less, _ = ways[axis]
        for _ in range(round(abs(goal - at) / 0.03)):
            panel.press(more if goal > at else less)

    go(x, 0)
    go(y, 1)
    assert "Across" in panel.look()["status"]
    panel.press("Enter")
    (made,) = next(iter(panel.state().values()))["made"]
    assert np.allclose(made["points"][0], [x, y, 1], atol=0.03)
    shoot(panel, "aimed")
    assert iou(rerun(panel, shown), square) > 0.7
    panel.press("Escape")
    ys, xs = np.nonzero(square)
    height, width = square.shape
    corners = [(xs.min() / width, ys.min() / height), (xs.max() / width, ys.max() / height)]
    at = made["points"][0][:2]
    for corner in corners:
        go(corner[0], 0, at[0])
        go(corner[1], 1, at[1])
        at = corner
        panel.press("Space")
    (made,) = next(iter(panel.state().values()))["made"]
    assert np.allclose(made["box"], [*corners[0], *corners[1]], atol=0.06)


def test_a_screen_reader_is_told_what_everything_is(opened):
    panel, _ = started(opened, f"{TEXT}\nthe green square")
    panel.element('[data-mode="choose"]')  # marks the panel
    told = opened.page.locator(f'[data-tested="{panel.name}"]').aria_snapshot()
    for part in (
        'tablist "Expressions"',
        f'tab "{TEXT}" [selected]',
        'group "What a click does"',
        'button "Choose (click)" [pressed]',
        'button "Add (Shift + click)"',
        'button "Paint this mask in the mask editor"',
        'application "The picture, what was found on it, and its candidates"',
        "status",
        'listbox "Candidates, best first"',
        'slider "Grow"',
        'checkbox "Fill holes"',
    ):
        assert part in told, (part, told)
    assert told.count("[selected]") == 2  # a tab, a candidate
    assert 'option "Candidate 1' in told and "score" in told
    description = panel.element("canvas[tabindex]").get_attribute("aria-description")
    assert "Enter chooses" in description
    status = panel.element("[role=status]")
    panel.press("Digit3")
    assert "Chosen" in status.inner_text()  # a live region, which is read out


class Touch(Panel):
    """A panel under a finger."""

    def tap(self, x, y):
        self.page.page.touchscreen.tap(*self.point(x, y))
        self.page.page.wait_for_timeout(200)
        return self.look()

    def tap_button(self, name):
        self.element(name).tap()

    def swipe(self, start, end):
        """A finger that is drawn over the picture."""
        client = self.page.page.context.new_cdp_session(self.page.page)
        for at, spot in enumerate(np.linspace(self.point(*start), self.point(*end), 8)):
            point = dict(zip("xy", spot.tolist(), strict=True))
            kind = "touchMove" if at else "touchStart"
            client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        self.page.page.wait_for_timeout(200)


def test_a_finger_chooses_adds_takes_away_and_draws_a_box(opened):
    browser = opened.page.context.browser
    context = browser.new_context(has_touch=True, viewport={"width": 1180, "height": 820})
    try:
        page = Page(context.new_page(), opened.server)
        page.page.goto(opened.server.url)
        page.wait_ready()
        _, shown = started(page)
        panel = Touch(page)
        *green, square = place(SCENE, "green square")
        *red, circle = place(SCENE, "red circle")
        assert iou(panel.soft() >= 0.5, circle) > 0.8
        panel.tap(*green)
        assert iou(panel.soft() >= 0.5, square) > 0.8
        panel.tap_button('[data-mode="add"]')
        panel.tap(*red)
        assert iou(panel.soft() >= 0.5, square | circle) > 0.8
        panel.tap_button('[data-mode="remove"]')
        panel.tap(*green)
        assert iou(panel.soft() >= 0.5, circle) > 0.8
        panel.tap_button('[data-mode="choose"]')
        panel.tap_button(f'.refdiff-tile[data-index="{panel.look()["tiles"][2]}"]')
        assert panel.look()["chosen"] == [panel.look()["tiles"][2]]
        shoot(panel, "touch")
        where = "() => [...window.app.canvas.ds.offset, window.app.canvas.ds.scale]"
        before = page.page.evaluate(where)
        ys, xs = np.nonzero(square)
        height, width = square.shape
        panel.swipe(
            ((xs.min() - 1) / width, (ys.min() - 1) / height),
            ((xs.max() + 2) / width, (ys.max() + 2) / height),
        )
        assert page.page.evaluate(where) == before  # the page behind stays where it is
        assert iou(rerun(panel, shown), square) > 0.7
        assert page.problems() == []
    finally:
        context.close()
