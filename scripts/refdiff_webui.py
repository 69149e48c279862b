"""Ref-Diff in Stable Diffusion WebUI and its forks: an accordion in img2img.

Loaded by path, with this extension's folder in front of sys.path only meanwhile: all that is ours
is imported here at the top.
"""

import html

import gradio as gr
from modules import script_callbacks, scripts, shared
from PIL import Image

from refdiff_core.pictures.images import from_pil, to_pil
from refdiff_core.pictures.previews import overlay
from refdiff_core.settings import Settings
from refdiff_webui.finding import find, read_numbers
from refdiff_webui.host import explain, run_from_button
from refdiff_webui.models import DEMO_NAME, NONE, clip_files, sam_files

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


def source(name):
    """What holds a tab's picture: Forge's canvas keeps it apart from what is painted on it."""
    return THEIRS.get((name, "background")) or THEIRS[name]


script_callbacks.on_after_component(note)


class RefDiff(scripts.Script):
    def title(self):
        return "Ref-Diff"

    def show(self, is_img2img):
        return scripts.AlwaysVisible if is_img2img else False

    def ui(self, is_img2img):
        """Builds the accordion; what it returns, scripted calls give in this order."""
        canvas = [THEIRS.get(("img2maskimg", layer)) for layer in ("background", "foreground")]
        with gr.Accordion("Ref-Diff: mask by words", open=False, elem_id="refdiff"):
            words, go, stop, message = asking()
            gallery = gr.Gallery(
                show_label=False,
                columns=4,
                height="auto",
                object_fit="contain",
                allow_preview=False,
                elem_id="refdiff_gallery",
            )
            preview, picks, use, paint = choosing(to_paint=all(canvas))
            shape, presence, models = settings()
            enabled = gr.Checkbox(
                False,
                label="Find when generating, in every picture anew: the best candidate",
                elem_id="refdiff_enabled",
            )
            found = gr.State(None)
            tab = gr.Number(0, visible=False)  # which one is open: only the page knows

        answer = [found, picks, *shape]
        go.click(
            show_candidates,
            [tab, *map(source, TABS.values()), words, presence, *models],
            [found, gallery, picks, message],
            **{JS: "(_, ...rest) => [get_tab_index('mode_img2img'), ...rest]"},
        ).then(show_mask, answer, [preview, message])
        stop.click(shared.state.interrupt, queue=False)
        for each in (picks, *shape):
            each.change(show_mask, answer, [preview, message])
        hand_over(
            use, to_upload, answer, [THEIRS[f"img_inpaint_{it}"] for it in ("base", "mask")], 4
        )
        if all(canvas):
            hand_over(paint, to_canvas, answer, canvas, 2)
        self.infotext_fields = [(words, "Ref-Diff")]
        return [enabled, words, *shape, presence, *models]

    def process(self, p, enabled, words, grow, feather, invert, *models):
        if not enabled or not getattr(p, "init_images", None):
            return
        try:
            found = find(p.init_images[0], words, *models)
            message, mask = found.message, found.mask(found.first, Settings())
        except Exception as error:
            message, mask = explain(error), Image.new("L", p.init_images[0].size)
        p.extra_generation_params["Ref-Diff"] = words
        if mask.getbbox():
            p.image_mask = found.mask(found.first, shaped(grow, feather, invert))
        else:  # the picture stays as it is, whatever else was asked for
            p.image_mask, p.inpaint_full_res, p.inpainting_mask_invert = mask, False, 0
        if message and hasattr(p, "comment"):
            p.comment(f"Ref-Diff: {message}")


def asking():
    """Words, two buttons and what there is to say."""
    words = gr.Textbox(
        label="Which thing: one line a thing; 'not: ...' leaves out",
        placeholder="the red cup on the left",
        lines=2,
        elem_id="refdiff_words",
    )
    with gr.Row():
        go = gr.Button("Find", variant="primary", elem_id="refdiff_find")
        stop = gr.Button("Stop", elem_id="refdiff_stop")
    return words, go, stop, gr.HTML(elem_id="refdiff_message")


def choosing(to_paint):
    """The mask, the candidates chosen, and where it may go; not every host's canvas takes paint."""
    with gr.Row():
        preview = gr.Image(label="Mask", type="pil", interactive=False, elem_id="refdiff_preview")
        with gr.Column():
            picks = gr.Textbox(
                label="Chosen: click a candidate, shift-click adds", elem_id="refdiff_picks"
            )
            use = gr.Button("Use as mask", elem_id="refdiff_use")
            paint = gr.Button("Onto the canvas", visible=to_paint, elem_id="refdiff_paint")
    return preview, picks, use, paint


def settings():
    """The mask's shape, the least presence, and whose masks and CLIP."""
    names = [NONE, DEMO_NAME]
    with gr.Row():
        grow = gr.Slider(-64, 64, 0, step=1, label="Grow", elem_id="refdiff_grow")
        feather = gr.Slider(0, 64, 0, step=1, label="Feather", elem_id="refdiff_feather")
        invert = gr.Checkbox(False, label="Invert", elem_id="refdiff_invert")
        presence = gr.Slider(
            0, 1, Settings().min_present, step=0.01,
            label="Presence: none where CLIP sees less", elem_id="refdiff_presence",
        )  # fmt: skip
    with gr.Row():
        sam = gr.Dropdown(
            [*names, *sam_files()], value=NONE, label="Masks from", elem_id="refdiff_sam"
        )
        clip = gr.Dropdown(
            [*names, *clip_files()], value=NONE, label="CLIP", elem_id="refdiff_clip"
        )
    return [grow, feather, invert], presence, [sam, clip]


def hand_over(button, make, answer, places, number):
    """On a click, put what is made where it belongs, and open the tab of that number."""
    show = f"() => {{ switch_to_img2img_tab({number}); }}"
    button.click(make, answer, places).then(None, None, None, **{JS: show})


def shaped(grow, feather, invert):
    return Settings(grow=int(grow), feather=int(feather), invert=bool(invert))


def told(text):
    return html.escape(text).replace("\n", "<br>")


def show_candidates(tab, image, canvas, upload, words, *models):
    """The gallery, the best candidates' numbers, and what there is to say."""
    picture = {0: image, 2: canvas, 4: upload}.get(int(tab))
    picture = picture["image"] if isinstance(picture, dict) else picture
    try:
        found = run_from_button(lambda: find(picture, words, *models))
        numbers = ", ".join(map(str, found.first))
        return found, found.gallery(), numbers, told(found.message)
    except Exception as error:
        return None, [], "", told(explain(error))


def masked(found, picks, *shape):
    return found.mask(read_numbers(picks), shaped(*shape))


def show_mask(found, picks, *shape):
    if found is None:
        return None, gr.update()
    try:
        mask = from_pil(masked(found, picks, *shape))[..., 0]
        return to_pil(overlay(from_pil(found.image), mask)), told(found.message)
    except Exception as error:
        return None, told(explain(error))


def to_upload(found, picks, *shape):
    """Picture and mask for the tab Inpaint upload."""
    if found is None:
        return gr.update(), gr.update()
    return found.image, masked(found, picks, *shape)


def to_canvas(found, picks, *shape):
    """Picture and paint for Forge's Inpaint canvas, whose alpha is the mask."""
    if found is None:
        return gr.update(), gr.update()
    mask = masked(found, picks, *shape)
    black = Image.new("L", mask.size)
    return found.image, Image.merge("RGBA", (black, black, black, mask))
