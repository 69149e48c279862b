"""A real WebUI's page in a real browser: typed, found, clicked, handed on."""

import time

import numpy as np
import pytest
from browser import MESSAGE
from PIL import ImageOps
from scene import RED_CIRCLE_LEFT, picture, truth


def bits(mask):
    return np.asarray(mask.convert("L")) > 127


def iou(mask, true):
    return (bits(mask) & true).sum() / (bits(mask) | true).sum()


def apart(a, b):
    return np.abs(np.asarray(a.convert("RGB")).astype(int) - np.asarray(b)).max(-1)


def test_typed_found_clicked_and_handed_to_inpaint_upload(page, webui):
    before = webui.paint(picture()) and webui.paint(picture())
    assert page.find(RED_CIRCLE_LEFT) == ""
    assert page.click(2) == "2"
    assert page.click(1, shift=True) == "2, 1"
    assert page.click(2, shift=True) == "1"
    assert page.click(2) == "2"
    assert page.click(2) == "1, 2"
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


def test_what_was_chosen_is_repainted_and_nothing_else(page):
    """Find, click, Use as mask, Generate: as an artist presses them."""
    page.show()
    assert page.find(RED_CIRCLE_LEFT) == ""
    assert page.click(1) == "1"
    page.page.click("#refdiff_use")
    page.page.wait_for_selector("#img_inpaint_mask img")
    page.page.wait_for_timeout(2000)
    page.set(width=192, height=128, steps=4, mask_blur=0, denoising_strength=0.9)
    painted = page.generate()
    page.shoot("generated")
    assert len(painted) == 1
    mask = bits(page.uploaded("img_inpaint_mask"))
    changed = apart(painted[0], picture())
    assert changed[~mask].max() == 0 and changed[mask].mean() > 5
    assert iou(page.uploaded("img_inpaint_mask"), truth()) >= 0.7


def test_in_the_batch_tab_every_picture_gets_its_own_mask(page, webui):
    pictures = [picture(), ImageOps.mirror(picture())]
    page.page.evaluate("switch_to_img2img_tab(5)")
    if webui.reforge:  # there the tab takes folders alone
        for number, each in enumerate(pictures):
            each.save(webui.base / "configs" / f"{number}.png")
        page.page.fill("#img2img_batch_input_dir textarea", str(webui.base / "configs"))
    else:
        page.put(*pictures, into="img2img_batch_upload")
    page.page.fill("#refdiff_words textarea", "the blue square")
    page.page.check("#refdiff_enabled input")
    page.set(width=192, height=128, steps=4, denoising_strength=0.9)
    painted = page.generate()
    page.shoot("batch")
    page.page.uncheck("#refdiff_enabled input")
    changed = [apart(*pair) > 0 for pair in zip(painted, pictures, strict=True)]
    assert all(0 < each.mean() < 0.5 for each in changed)
    left, right = (each.nonzero()[1].mean() for each in changed)
    assert abs(left + right - picture().width) < 12 and abs(left - right) > 10


def test_stop_ends_a_search_whose_progress_the_host_tells(page, webui):
    page.show()
    page.start_to_find("\n".join(f"the red circle on the left {n}" for n in range(200)))
    deadline = time.monotonic() + 60
    while webui.get("/sdapi/v1/progress")["state"]["job"] != "Ref-Diff":
        assert time.monotonic() < deadline
    page.page.click("#refdiff_stop")
    page.page.wait_for_function(f"document.querySelector('{MESSAGE}')?.innerText.trim()")
    assert page.message() == "Stopped."


def test_a_message_stands_where_nothing_can_be_found(page):
    page.show()
    assert "There is no expression" in page.find("  ")


def test_on_forges_canvas_the_mask_is_paint(page, webui):
    if not webui.canvas:
        pytest.skip("only Forge and its successors have such a canvas")
    page.show()
    assert page.find(RED_CIRCLE_LEFT) == ""
    page.page.click("#refdiff_paint")
    page.page.wait_for_timeout(4000)
    page.shoot("canvas")
    drawn = page.page.locator("#img2maskimg canvas").first
    alpha = drawn.evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        ".filter((_, i) => i % 4 == 3)"
    )
    painted = np.array(alpha).reshape(-1, picture().width) > 127
    assert (painted & truth()).sum() / (painted | truth()).sum() >= 0.7


def test_a_picture_without_paint_is_enough_in_the_tab_inpaint(page, webui):
    if webui.reforge:
        page.put(picture(), into="img2maskimg")
    page.page.evaluate("switch_to_inpaint()")
    assert page.find("the blue square") == ""
    page.page.click("#refdiff_use")
    page.page.wait_for_timeout(4000)
    assert iou(page.uploaded("img_inpaint_mask"), truth(2)) >= 0.7
