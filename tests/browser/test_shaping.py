"""What the panel shows as a mask, and what a run then gives."""

import numpy as np
import pytest
from panels import scene, shoot, started
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
