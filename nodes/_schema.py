"""What all nodes' schemas share, and the words that ComfyUI 0.3.64 does not know yet."""

from dataclasses import fields
from typing import Any, TypeVar

from comfy_api.latest import io

from ..refdiff_core.settings import AttentionSettings, Settings
from ._asked import BY_MODEL, READINGS, Shown

CATEGORY = "Ref-Diff"
LOADERS = "Ref-Diff/loaders"

Attention = io.Custom("REFDIFF_ATTENTION")
Proposals = io.Custom("REFDIFF_PROPOSALS")
Scores = io.Custom("REFDIFF_SCORES")
Candidates = io.Custom("REFDIFF_CANDIDATES")
Clip = io.Custom("REFDIFF_CLIP")
Sam = io.Custom("SAM_MODEL")
Segs = io.Custom("SEGS")
BoundingBox = io.Custom("BOUNDING_BOX")

Widget = TypeVar("Widget", bound=io.Input)

_KNOWN = {field.name for field in fields(io.Schema)}


def schema(**values: Any) -> io.Schema:
    """A schema without the fields that this ComfyUI does not know, such as search_aliases."""
    return io.Schema(**{key: value for key, value in values.items() if key in _KNOWN})


def advanced(widget: Widget) -> Widget:
    """Mark an input as rarely used; the panel folds it away where ComfyUI does not."""
    widget.extra_dict["advanced"] = True
    return widget


def shows_a_panel() -> dict[str, bool]:
    """A node whose ``ui`` comes with every run, also with one that is all cached."""
    word = "has_intermediate_output"
    return {word: True} if word in _KNOWN else {"is_output_node": True}


def panel_input() -> io.Input:
    """What was chosen on the node's panel, which keeps it here; see `_choice`.

    Behind all others and optional, as every input that graphs of today do not have: the page
    keeps widgets' values by their place.
    """
    widget = io.String.Input(
        "panel",
        optional=True,
        default=Shown.panel,
        tooltip="What was chosen and asked on the node's own picture. The panel writes it.",
    )
    widget.extra_dict["hidden"] = True
    return widget


def each_input() -> io.Input:
    """Whether every thing has a mask of its own."""
    return io.Boolean.Input(
        "each",
        optional=True,
        default=Shown.each,
        tooltip="A mask for every thing in place of one for every line: of 'both cups', two.",
    )


def answer_inputs() -> list[io.Input]:
    """What came to the nodes that answer after `mask_inputs`, in the order in which it came."""
    return [
        threshold_input(),
        panel_input(),
        advanced(one_mask_input()),
        advanced(each_input()),
        min_present_input(),
    ]


def min_present_input() -> io.Input:
    """The least presence."""
    return setting(
        io.Float,
        "min_present",
        "A chance from 0 to 1. Where there is less that such a thing is there at all, the mask is "
        "empty; 0 always gives the best there is. Only CLIP can tell.",
        optional=True,
        **_range(0, 1, 0.01),
    )


def threshold_input() -> io.Input:
    """How much of the thing."""
    return io.Float.Input(
        "threshold",
        optional=True,
        default=Shown.threshold,
        tooltip="From 0 to 1: the mask is where the words' map is at least so strong, within what "
        "was chosen by hand or by number, or within each of several things. 0 takes candidates "
        "whole.",
        **_range(0, 1, 0.01),
    )


def one_mask_input() -> io.Input:
    """For what takes one mask a picture; optional and last, as `panel_input` says."""
    return io.Boolean.Input(
        "one_mask",
        default=Shown.one_mask,
        optional=True,
        tooltip="One mask a picture with what all lines found, for nodes that take one, such as "
        "VAE Encode (for Inpainting). Off, every line has a mask of its own.",
    )


def model_inputs() -> list[io.Input]:
    """A checkpoint in its three parts."""
    return [
        io.Model.Input(
            "model",
            tooltip="Stable Diffusion 1.x, 2.x, XL or 3, Flux, Z-Image, Qwen-Image and others, "
            "with its LoRAs. Its attention is read; it is not changed.",
        ),
        io.Clip.Input(
            "clip",
            tooltip="The text encoder that belongs to the model, one or several in one loader.",
        ),
        io.Vae.Input("vae", tooltip="The autoencoder that belongs to the model."),
    ]


def image_input(optional: bool = False, note: str = "") -> io.Input:
    """The picture."""
    tooltip = "The picture to look at; a batch gives masks for every picture." + note
    return io.Image.Input("image", optional=optional, tooltip=tooltip)


def expressions_input() -> io.Input:
    """What to find."""
    return io.String.Input(
        "expressions",
        multiline=True,
        default="the cup on the left",
        placeholder="Say which one, such as: the cup on the left",
        tooltip="What to find, in plain English, one a line; every line gives its own mask. "
        "'both cups', 'all the red cars', 'face . hair' are several things, 'everything but the "
        "dog' and 'background' the rest. 'not: ...' says what to leave out, [brackets] which word "
        "names the thing. "
        "ComfyUI's (weights:1.2) and embeddings work as in any prompt.",
    )


def transformer_inputs() -> list[io.Input]:
    """What is asked of transformers alone; optional, so that saved graphs keep their values."""
    inputs = [
        io.Combo.Input(
            "reading",
            options=list(READINGS),
            default=BY_MODEL,
            optional=True,
            tooltip="Flux, SD 3 and other transformers: how places are compared with words. Among "
            "all tokens; among the text's alone, which leaves padding out; or by what attention "
            "makes of both. U-Nets have one way.",
        ),
        io.Boolean.Input(
            "reference",
            default=False,
            optional=True,
            tooltip="Flux Kontext, Flux.2, Qwen-Image-Edit, OmniGen2: show the picture clean, as "
            "what is to be edited, and read where the words are in that.",
        ),
    ]
    return [advanced(each) for each in inputs]


def attention_inputs() -> list[io.Input]:
    """How attention is read, of any model."""
    inputs = [
        io.Int.Input(
            "timestep",
            default=-1,
            min=-1,
            max=999,
            tooltip="How noisy the picture is when the model looks at it, out of 1000 steps. "
            "Flow models (Flux, SD 3, ...) mix in so many thousandths of noise. Low values see "
            "the picture as it is; -1 takes what suits the model.",
        ),
        io.Int.Input(
            "resolution",
            default=0,
            min=0,
            max=2048,
            step=64,
            tooltip="Side of the square whose area the picture is brought to, in pixels. "
            "0 takes what the model was trained at.",
        ),
        io.Int.Input(
            "seed",
            default=AttentionSettings().seed,
            min=0,
            max=0xFFFFFFFF,
            control_after_generate=False,
            tooltip="Of the little noise that is added; the same seed gives the same map.",
        ),
        setting(
            io.Float,
            "sharpen",
            "How far, in cells of the model's own grid, the map may follow the picture's edges. "
            "0 leaves it as it is.",
            **_range(0, 8, 0.1),
        ),
        io.Combo.Input(
            "words",
            options=["content", "root"],
            default=AttentionSettings().words,
            tooltip="Which words make the map: all that describe the thing, or its noun alone, "
            "as in the paper.",
        ),
    ]
    return [advanced(each) for each in inputs]


def setting(kind: Any, name: str, tooltip: str, **limits: Any) -> Any:
    """The input of one of `Settings`, with the core's own default."""
    return kind.Input(name, default=getattr(Settings(), name), tooltip=tooltip, **limits)


def _range(least: float, most: float, step: float) -> dict[str, float]:
    return {"min": float(least), "max": float(most), "step": step}


def alpha_input() -> io.Input:
    """Attention against CLIP."""
    widget = setting(
        io.Float,
        "alpha",
        "Weight of the attention against CLIP, from 0 to 1: 1 looks at attention alone, 0 at CLIP "
        "alone. Without CLIP it does nothing.",
        **_range(0, 1, 0.05),
    )
    return advanced(widget)


def shape_inputs(optional: bool = False) -> list[io.Input]:
    """The shape of the mask."""
    grow = "Pixels to grow the mask by; negative values shrink it."
    feather = "Pixels over which the mask's edge fades out, to each side."
    few = {"optional": optional}
    return [
        setting(io.Int, "grow", grow, min=-512, max=512, **few),
        setting(io.Int, "feather", feather, min=0, max=512, **few),
        setting(io.Boolean, "fill", "Fill holes in the mask.", **few),
        setting(io.Boolean, "invert", "Mask everything else.", **few),
    ]


def mask_inputs() -> list[io.Input]:
    """The shape of the mask, and how candidates are ranked."""
    return [*shape_inputs(), *(advanced(each) for each in _ranking_inputs())]


def _ranking_inputs() -> list[io.Input]:
    spatial = (
        "How much 'left', 'largest' or 'behind the bench' count, from 0 to 1, by the candidates' "
        "own places. 0 leaves that to the models, as the paper does."
    )
    union = "The mask is the best so many candidates together."
    smallest = "Candidates that cover less of the picture are left out: 0.01 is a hundredth of it."
    largest = "Candidates that cover more of the picture are left out: 0.5 is half of it."
    size = (
        "How much masks that are neither tiny nor huge are favoured, as an exponent. 0 is the "
        "paper's score."
    )
    quality = (
        "How much Segment Anything's own trust in a mask counts, as an exponent. 0 leaves it out, "
        "as the paper does."
    )
    return [
        setting(io.Float, "spatial_weight", spatial, **_range(0, 1, 0.01)),
        setting(io.Int, "union", union, min=1, max=64),
        setting(io.Float, "smallest", smallest, round=False, **_range(0, 1, 0.0001)),
        setting(io.Float, "largest", largest, **_range(0, 1, 0.01)),
        setting(io.Float, "size_exponent", size, **_range(0, 2, 0.05)),
        setting(io.Float, "quality_exponent", quality, **_range(0, 4, 0.1)),
    ]


def result_outputs() -> list[io.Output]:
    """What the nodes that answer hand on."""
    return [
        io.Mask.Output(
            "mask",
            display_name="mask",
            tooltip="One mask per picture and expression: all of the first picture's, "
            "then the second's. Nothing found is an empty mask.",
        ),
        Candidates.Output(
            "candidates", display_name="candidates", tooltip="All candidates, for Ref-Diff Pick."
        ),
        # ComfyUI 0.3.64 wants ids that no input has
        io.String.Output(
            "ranking", display_name="scores", tooltip="What was found and how it scored, as JSON."
        ),
        BoundingBox.Output(
            "bboxes",
            display_name="bboxes",
            tooltip="The masks' boxes with score and label: one list per picture.",
        ),
        Segs.Output("segs", display_name="SEGS", tooltip="The masks for Impact Pack's nodes."),
        io.Image.Output("overlay", display_name="overlay", tooltip="The masks on the picture."),
    ]
