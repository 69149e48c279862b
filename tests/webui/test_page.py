"""A real WebUI's page in a real browser: typed, found, clicked, handed on."""

import numpy as np
import pytest
from scene import RED_CIRCLE_LEFT, picture, truth


def bits(mask):
    return np.asarray(mask.convert("L")) > 127


def iou(mask, true):
    return (bits(mask) & true).sum() / (bits(mask) | true).sum()


def test_typed_found_clicked_and_handed_to_inpaint_upload(page, webui):
    page.put(picture())
    before = webui.paint(picture()) and webui.paint(picture())
    assert page.find(RED_CIRCLE_LEFT) == ""
    assert page.click(2) == "2"
    assert page.click(1, shift=True) == "2, 1"
    assert page.click(1) == "1"
    page.page.click("#refdiff_use")
    page.page.wait_for_selector("#img_inpaint_mask img")
    page.page.wait_for_timeout(2000)
    assert page.page.locator("#img2img_inpaint_upload_tab").is_visible()
    mask = page.uploaded("img_inpaint_mask")
    assert iou(mask, truth()) >= 0.7
    assert (np.asarray(page.uploaded("img_inpaint_base")) == np.asarray(picture())).all()
    # the scripted call without a click
    *_, scripted = webui.paint(picture(), True, RED_CIRCLE_LEFT)
    assert (bits(scripted) == bits(mask)).all()
    after = webui.paint(picture()) and webui.paint(picture())
    assert (np.asarray(after[0]) == np.asarray(before[0])).all()
    assert page.errors == []


def test_a_message_stands_where_nothing_can_be_found(page):
    page.page.evaluate("switch_to_inpaint()")
    assert "Say which thing is meant" in page.find("  ")


def test_on_forges_canvas_the_mask_is_paint(page, webui):
    if not webui.forge:
        pytest.skip("only Forge's line has such a canvas")
    page.page.evaluate("switch_to_inpaint()")
    page.put(picture())
    assert page.find(RED_CIRCLE_LEFT) == ""
    page.page.click("#refdiff_paint")
    page.page.wait_for_timeout(4000)
    drawn = page.page.locator("#img2maskimg canvas").first
    alpha = drawn.evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        ".filter((_, i) => i % 4 == 3)"
    )
    painted = np.array(alpha).reshape(-1, picture().width) > 127
    assert (painted & truth()).sum() / (painted | truth()).sum() >= 0.7
