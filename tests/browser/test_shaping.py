"""What the panel shows as a mask, and what a run then gives."""

import numpy as np
import pytest
from gestures import Panel
from panels import drawn, scene, shoot, started
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter


def test_sliders_show_at_once_and_a_run_gives_that_very_mask(opened):
    panel, shown = started(opened)
    before = panel.soft()
    for name, value in (("grow", 6), ("feather", 5), ("threshold", 0.3)):
        panel.slide(name, value)
        assert panel.value(name) != value  # kept when it is let go
        assert not np.array_equal(panel.soft(), before)
        panel.let_go(name)
        assert panel.value(name) == value
        before = panel.soft()
    run = opened.run()
    found = opened.server.picture(run, shown)[..., 0] / 255
    assert np.abs(found - panel.soft()).max() < 1.5 / 255
    shoot(panel, "shaped")


@pytest.mark.parametrize("values", [{"fill": True, "grow": -2}, {"invert": True, "feather": 4}])
def test_switches_and_shrinking_give_what_a_run_gives(opened, values):
    panel, shown = started(opened, "the black ring", number=11, **values)
    run = opened.run()
    found = opened.server.picture(run, shown)[..., 0] / 255
    assert np.abs(found - panel.soft()).max() < 1.5 / 255


KINDS = {
    "several, only where they are strong": ("all the red circles", {"threshold": 0.3}),
    "several, whatever the union": ("all the red circles", {"union": 3}),
    "one, of the best two": ("the green square", {"union": 2}),
    "one, wherever it is strong": ("the green square", {"threshold": 0.3}),
    "a list": ("the green square . the black cross", {"threshold": 0.2, "union": 2}),
    "not there": ("the purple ring", {"union": 2, "threshold": 0.3}),
    "the rest": ("everything except the green square", {"threshold": 0.3, "union": 2}),
    "no ground": ("the foreground", {"threshold": 0.3, "union": 2}),
}


@pytest.mark.parametrize(("text", "values"), KINDS.values(), ids=KINDS)
def test_words_of_every_kind_show_what_a_run_gives(opened, text, values):
    panel, shown = started(opened, text, **values)
    found = opened.server.picture(opened.run(), shown)[..., 0] / 255
    assert np.abs(found - panel.soft()).max() < 1.5 / 255
    assert found.any() == (text != "the purple ring")


def test_pick_shows_its_own_shape_of_what_the_words_say(opened):
    graph, _ = drawn(opened, "everything except the green square")
    segment = next(each["id"] for each in graph.nodes if each["type"] == "RefDiffSegment")
    values = {"invert": True, "feather": 6}
    pick = graph.add(
        "RefDiffPick", (400, 760), (420, 600), candidates=(segment, "candidates"), **values
    )
    masks = graph.add("MaskToImage", (900, 760), (200, 40), mask=(pick, "mask"))
    shown = graph.add("PreviewImage", (900, 860), (300, 300), images=(masks, "IMAGE"))
    assert opened.load(graph.graph()) == []
    run = opened.run()
    panel = Panel(opened, "RefDiffPick")
    panel.wait()
    found = opened.server.picture(run, str(shown))[..., 0] / 255
    assert 0 < found.mean() < 0.5 and np.abs(found - panel.soft()).max() < 1.5 / 255


LARGE = {
    "as it is": {},
    "grown": {"grow": 25},
    "shrunk": {"grow": -20},
    "soft": {"feather": 40},
    "filled": {"fill": True},
    "inverted": {"invert": True, "feather": 15},
    "strong": {"threshold": 0.4},
    "all of it": {"threshold": 0.3, "fill": True, "grow": 12, "feather": 24, "invert": True},
}


@pytest.fixture(scope="module")
def large(opened):
    """A ring on a picture of 1500 x 1167 pixels, of which the panel shows a third."""
    small = Image.fromarray(scene(11).image)
    side = 1500 / max(small.size)
    picture = small.resize([round(each * side) for each in small.size], Image.Resampling.BICUBIC)
    name = opened.server.put_image("large.png", np.asarray(picture))
    opened.page.evaluate("() => window.app.refreshComboInNodes()")
    return started(opened, "the black ring", image=name)


@pytest.mark.parametrize("values", LARGE.values(), ids=LARGE)
def test_a_large_picture_gets_the_mask_that_the_panel_shows_but_for_a_pixel_of_the_panel(
    opened, large, values
):
    panel, shown = large
    for name, default in {"grow": 0, "feather": 0, "threshold": 0}.items():
        panel.slide(name, values.get(name, default))
        panel.let_go(name)
    for name in ("fill", "invert"):
        panel.element(f'input[data-name="{name}"]').set_checked(values.get(name, False))
    seen = panel.soft()
    run = opened.run()
    full = opened.server.picture(run, shown)
    assert max(full.shape) == 1500 and max(seen.shape) == 512
    small = Image.fromarray(full[..., 0]).resize(seen.shape[::-1], Image.Resampling.BOX)
    given = np.asarray(small) / 255
    # what the run gives at a place of the panel is what the panel shows there or right beside it
    low, high = minimum_filter(seen, 3), maximum_filter(seen, 3)
    off = np.maximum(low - given, given - high) > 0.02
    apart = np.abs(given - seen).mean()
    print(f"{off.sum()} places off, mean difference {apart:.4f}")  # noqa: T201
    assert off.mean() < 1e-3  # points finer than the pixels of the panel, and what grows of them
    assert apart < 0.005
    assert 0.05 < seen.mean() < 0.95
