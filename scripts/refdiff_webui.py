"""Ref-Diff in Stable Diffusion WebUI and its forks: an accordion in img2img.

Loaded by path, with this extension's folder in front of sys.path only meanwhile: all that is ours
is imported here at the top.
"""

import html
import re
from types import SimpleNamespace

import gradio as gr
from modules import script_callbacks, scripts, shared
from PIL import Image

from refdiff_core.errors import RefDiffError
from refdiff_core.pictures.images import to_pil
from refdiff_core.pictures.previews import overlay
from refdiff_core.settings import Settings
from refdiff_webui.finding import SHELF, find
from refdiff_webui.host import explain, run_from_button

JS = "_js" if gr.__version__.startswith("3.") else "js"
TABS = {0: "img2img_image", 2: "img2maskimg", 4: "img_inpaint_base"}
"""The picture of each img2img tab that has one to find things in, by the tab's number."""
THEIRS = {}
"""The host's own components by elem_id; of Forge's canvases by canvas and layer."""


def note(component, **_kwargs):
    """Remember what the host has built before it asks for our part."""
    name = getattr(component, "elem_id", None) or ""
    if name in (*TABS.values(), "img_inpaint_mask"):
        THEIRS[name] = THEIRS["latest"] = component
    for layer in ("background", "foreground"):  # of a Forge canvas, right after the canvas itself
        made = getattr(component, "elem_classes", None) or ()
        if f"logical_image_{layer}" in made and "latest" in THEIRS:
            THEIRS.setdefault((THEIRS["latest"].elem_id, layer), component)


script_callbacks.on_after_component(note)


class RefDiff(scripts.Script):
    """The accordion, and the script that runs when pictures are generated."""

    def title(self):
        """What the host calls it."""
        return "Ref-Diff"

    def show(self, is_img2img):
        """Always there, in img2img alone."""
        return scripts.AlwaysVisible if is_img2img else False

    def ui(self, is_img2img):
        canvas = [THEIRS.get(("img2maskimg", layer)) for layer in ("background", "foreground")]
        with gr.Accordion("Ref-Diff: mask by words", open=False, elem_id="refdiff"):
            at = lay_out(paintable=all(canvas))
        connect(at, canvas)
        self.infotext_fields = [(at.words, "Ref-Diff")]
        # scripted calls give them in this order
        return [at.enabled, at.words, *at.shape, at.presence, at.sam, at.clip]

    def process(self, p, enabled, words, *options):
        """Find the mask before a picture is generated, where that is asked for."""
        if not enabled or not getattr(p, "init_images", None):
            return
        # a batch asks again and again with the same p
        own = vars(p).setdefault("refdiff_own", (p.inpaint_full_res, p.inpainting_mask_invert))
        p.inpaint_full_res, p.inpainting_mask_invert = own
        mask, shape, models = Image.new("L", p.init_images[0].size), options[:3], options[3:]
        try:
            found = find(p.init_images[0], words, *models)
            message = found.message
            if found.meant:
                mask = to_pil(mask_of(found, found.meant, *shape))
        except Exception as error:
            message = explain(error)
        if not mask.getbbox():  # the picture stays as it is, whatever else was asked for
            p.inpaint_full_res, p.inpainting_mask_invert = False, 0
        p.image_mask = mask
        p.extra_generation_params["Ref-Diff"] = words
        if message and hasattr(p, "comment"):
            p.comment(f"Ref-Diff: {message}")


def make(kind, name, *given, **options):
    return kind(*given, elem_id=f"refdiff_{name}", **options)


def lay_out(paintable):
    """Our components by name, in the order in which they are seen."""
    at = SimpleNamespace(found=gr.State(None))
    at.tab = gr.Number(0, visible=False)  # which one is open: only the page knows
    label = "Which thing: one line a thing; 'not: ...' leaves out"
    at.words = make(
        gr.Textbox, "words", lines=2, label=label, placeholder="the red cup on the left"
    )
    with gr.Row():
        at.find = make(gr.Button, "find", "Find", variant="primary")
        at.stop = make(gr.Button, "stop", "Stop")
    at.message = make(gr.HTML, "message")
    look = {"columns": 4, "height": "auto", "object_fit": "contain", "allow_preview": False}
    at.gallery = make(gr.Gallery, "gallery", show_label=False, **look)
    with gr.Row():
        at.preview = make(gr.Image, "preview", label="Mask", type="pil", interactive=False)
        with gr.Column():
            label = "Chosen: click a candidate; shift or a second click adds"
            at.picks = make(gr.Textbox, "picks", label=label)
            at.use = make(gr.Button, "use", "Use as mask")
            at.paint = make(gr.Button, "paint", "Onto the canvas", visible=paintable)
    with gr.Row():
        grow = make(gr.Slider, "grow", -64, 64, 0, step=1, label="Grow")
        feather = make(gr.Slider, "feather", 0, 64, 0, step=1, label="Feather")
        at.shape = [grow, feather, make(gr.Checkbox, "invert", False, label="Invert")]
        least, label = Settings().min_present, "Presence: none where CLIP sees less"
        at.presence = make(gr.Slider, "presence", 0, 1, least, step=0.01, label=label)
    with gr.Row():
        sams, clips = SHELF.names("sams"), SHELF.names("clip")
        at.sam = make(gr.Dropdown, "sam", sams, value=sams[0], label="Masks from")
        at.clip = make(gr.Dropdown, "clip", clips, value=clips[0], label="CLIP")
    label = "Find when generating, in every picture anew: the best candidate"
    at.enabled = make(gr.Checkbox, "enabled", False, label=label)
    return at


def connect(at, canvas):
    """What happens at a click; each ends with what there is to say."""
    sources = [THEIRS.get((name, "background")) or THEIRS[name] for name in TABS.values()]
    chosen = [at.found, at.picks, *at.shape]
    at.find.click(
        show_candidates,
        [at.tab, *sources, at.words, at.presence, at.sam, at.clip],
        [at.found, at.gallery, at.picks, at.message],
        **{JS: "refdiffSources"},
    ).then(show_mask, chosen, [at.preview, at.message])
    at.stop.click(shared.state.interrupt, queue=False)
    for each in (at.picks, *at.shape):
        each.change(show_mask, chosen, [at.preview, at.message])
    upload = [THEIRS["img_inpaint_base"], THEIRS["img_inpaint_mask"]]
    for button, act, targets, tab in (
        (at.use, to_upload, upload, 4),
        (at.paint, to_canvas, canvas, 2),
    ):
        if all(targets):
            done = button.click(act, chosen, [*targets, at.message])
            done.then(None, None, None, **{JS: f"() => {{ switch_to_img2img_tab({tab}); }}"})


def telling(*otherwise):
    """What a click does ends with a message for the page; where it fails, with one all the same."""

    def decorate(work):
        def act(*given):
            try:
                *values, message = work(*given)
            except Exception as error:
                values, message = otherwise, explain(error)
            return *values, html.escape(message).replace("\n", "<br>")

        return act

    return decorate


@telling(None, [], "")
def show_candidates(tab, image, canvas, upload, words, *models):
    """What was found, the gallery, and the best candidates' numbers."""
    picture = {0: image, 2: canvas, 4: upload}.get(int(tab))
    picture = picture["image"] if isinstance(picture, dict) else picture
    found = run_from_button(lambda: find(picture, words, *models))
    tiles = [(to_pil(tile), caption) for tile, caption in found.tiles()]
    return found, tiles, ", ".join(map(str, found.meant)), found.message


def show_mask(found, *chosen):
    """The picture with the mask over it."""
    return draw_mask(found, *chosen) if found else (None, gr.update())


@telling(None)
def draw_mask(found, *chosen):
    return to_pil(overlay(found.image, mask_of(found, *chosen))), found.message


@telling(gr.update(), gr.update())
def to_upload(found, *chosen):
    """Picture and mask for the tab Inpaint upload."""
    mask = to_pil(mask_of(found, *chosen))
    return to_pil(found.image), mask, found.message


@telling(gr.update(), gr.update())
def to_canvas(found, *chosen):
    """Picture and paint for Forge's Inpaint canvas, whose alpha is the mask."""
    mask = to_pil(mask_of(found, *chosen))
    black = Image.new("L", mask.size)
    return to_pil(found.image), Image.merge("RGBA", (black, black, black, mask)), found.message


def mask_of(found, picks, grow, feather, invert):
    """The mask of candidates by number, such as "1, 3"."""
    if found is None:
        raise RefDiffError("Nothing has been looked for. Press Find first.")
    numbers = [int(each) for each in re.findall(r"\d+", str(picks))]
    shape = Settings(grow=int(grow), feather=int(feather), invert=bool(invert))
    return found.mask(numbers, shape)
