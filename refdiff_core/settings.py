"""Every number of the method, with its reason, and the sets of them that belong together."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import SettingsError
from .ranges import changed, check_ranges


@dataclass(frozen=True)
class AttentionSettings:
    """How attention is read from a diffusion model.

    timestep: where on the noise schedule, 0 to 999; None takes the family's own
        (`refdiff_core.backends.families`). The noise and the model are told the same step.
    resolution: side in pixels of the square whose area the picture is brought to; None takes
        the resolution the checkpoint was trained at.
    seed: of the noise, so that the same picture gives the same map.
    words: "content" for the mean over the words that name the thing, "root" for its noun alone,
        as in the paper.
    even: every layer and every word is brought to the same scale, and the grids count for what the
        family says (`refdiff_core.seeing.attention.even`, `refdiff_core.backends.families`); else
        the layers of its main grid are averaged as they are, as in the paper.
    sinks: said after the expression, such as `SINKS`: attention that means nothing in particular
        goes there instead of to the words that are read.
    propagation: how many times a map is spread along the same layers' self-attention, so that
        places which look alike share it.
    finest: the mean over the layers is spread along the self-attention of the finest grid that is
        read, so that it follows things' outlines: 64 x 64 cells with Stable Diffusion 1.x and 2.x
        at 512 pixels. U-Nets alone. DiffSegmenter's (arXiv 2309.02773), whose maps become masks
        that way; ours has the layers on the way down, after which a pass may end.
    competing: where other things are named, each place counts for the thing only as far as its
        words win it from theirs.
    reading: how transformers compare places with words, one of
        `refdiff_core.seeing.joint.READINGS`; None takes the family's own. U-Nets have one way.
    reference: models that edit pictures are shown the picture clean, as what is to be edited, and
        noise alone as what is to become; then the clean one's attention is read.
    budget: MiB that the activations of expressions read in one pass may take, about.
    """

    timestep: int | None = None
    resolution: int | None = None
    seed: int = 0
    words: str = "content"
    even: bool = True
    reading: str | None = None
    reference: bool = False
    # eight expressions or more at 512 pixels in any precision, four at 1024 in float32
    budget: int = 2048
    # the last four help others' models (METHOD.md 3c, ideas 3, 5, 6) and the demo's hardly
    # (docs/maps.md): there to be tried. What the finest grid costs: docs/optimisations.md
    sinks: str = ""
    propagation: int = 0
    finest: bool = False
    competing: bool = False

    def __post_init__(self) -> None:
        check_ranges(self)


SINKS = ". a with"
"""RefAM's stop words (METHOD.md 3c, idea 3)."""


@dataclass(frozen=True)
class SamSettings:
    """How Segment Anything is asked.

    points_per_side: of the grid of point prompts. The package's generator uses 32 (1,024
        prompts); with peaks of the attention to guide the search, 8 are enough (docs/speed.md).
    peaks: most points taken from an expression's attention map, 0 for the grid alone. With 4 the
        demo's masks are better than with none or with 16, which add scraps to choose from.
    batch: prompts decoded at once, at most; see `SamProposer.prompts_at_once`.
    min_predicted_iou, min_stability, stability_offset: the package's own defaults.
    duplicate_iou: of two masks that overlap by more, the better one stays.
    """

    points_per_side: int = 8
    peaks: int = 4
    batch: int = 64
    min_predicted_iou: float = 0.88
    min_stability: float = 0.95
    stability_offset: float = 1.0
    duplicate_iou: float = 0.9

    def __post_init__(self) -> None:
        check_ranges(self)


AUTOMATIC = SamSettings(points_per_side=32, peaks=0, duplicate_iou=0.95)
"""The grid of the package's SamAutomaticMaskGenerator."""


@dataclass(frozen=True)
class ClipSettings:
    """How CLIP is asked.

    beta: weight of the soft branch against the hard one; the paper's .3.
    surround: what a region is cut out upon: "black" (the paper's), "mean" or "blur".
    margin: share by which a region's box is widened before it is cut out.
    zoom: longer side of the whole picture in the soft branch, in sides of the model's own input.
        Things are small in a whole picture; the published code shows it at its native size.
    budget: MiB that the activations of crops embedded at once may take, about.
    template: what is said; "{}" stands for the expression.
    ramp: the soft branch sees a picture that darkens away from the side that the words name, as
        in the paper; else places are left to geometry (`refdiff_core.choosing.spatial`).
    """

    beta: float = 0.3
    surround: str = "black"
    margin: float = 0.1
    zoom: float = 2.0
    budget: int = 256
    template: str = "{}"
    ramp: bool = False

    def __post_init__(self) -> None:
        check_ranges(self)


KINDS = ("person", "animal", "plant", "vehicle", "building", "furniture", "food", "clothes")
"""What else a region may be, asked of a CLIP of photographs: broad kinds, so that none says more
than the noun that is asked for."""


@dataclass(frozen=True)
class Calibration:
    """How scores become log-odds; see `refdiff_core.choosing.scoring.weigh`.

    Log-likelihoods are cosines times the model's own scale: at CLIP's 100, one is a hundredth.
    Everything was fitted on tuning scenes (seeds from 1,100,000 on) with CLIP's error simulated at
    .01 to .03, none of which docs/fusion.md reports on. `shared`, `floor` and `steep` are the
    likeliest of a grid for which object is meant. `match` is a logistic fit for which are of the
    kind that is named (80 scenes, true masks; on 80 others .02 nats an object likelier at .02 and
    .03 than a fit without its fourth figure). `present` is one for whether there is such a thing
    (80 scenes, the demo's own CLIP with SAM's masks, errors of .01 and .02 with SAM's and the true
    ones). `border` was chosen among five values on 40 scenes, `plain` and `alone` by how many
    questions are answered rightly on 80: `plain` .771 of those about "shapes", .755 to .765 with
    four others; `alone` .624 of all that are asked of attention alone, .613 with the likeliest,
    (1.2, 0.5), which leaves out too much of what is to be counted.

    shared: by how much CLIP's error is larger than its views' disagreement tells, because they err
        together; in variances.
    floor: deviation of CLIP's log-likelihood that is always there.
    steep: log-odds of a generative score of 1: of attention e times the picture's mean.
    cuts: the same for cuts of a map, whose score is the paper's difference.
    border: how far behind the best region, in gaps, others begin to be something else.
    match: of the chance to be what is named: how its log-odds go with those of the ranking, from
        that border on, with CLIP's contrast, with the generative score, which is the attention's
        own, and with that less the best one's; and what they are where all are 0.
    plain: the same where words name no kind of thing, so that there is nothing to contrast.
    alone: the same where only attention looked.
    present: of the chance that it is there at all: how its log-odds go with the best thing's
        contrast, and what they are where that is 0.
    """

    shared: float = 1.5
    floor: float = 0.4
    steep: float = 2.5
    cuts: float = 4.0
    border: float = 0.25
    match: tuple[float, float, float, float, float] = (0.44, 0.38, 0.64, 1.73, 0.52)
    plain: tuple[float, float] = (0.15, 2.5)
    alone: tuple[float, float] = (2.0, 3.0)
    present: tuple[float, float] = (1.26, -1.15)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class Settings:
    """How proposals are ranked and the winner becomes a mask.

    fusion: "agreement" weighs attention and CLIP by how far each can be trusted in this picture
        (`refdiff_core.choosing.scoring.weigh`), "sum" as the paper does.
    alpha: weight of the attention against CLIP. With "agreement" .5 lets both count for what they
        are worth, 0 looks at CLIP alone, 1 at attention alone; with "sum" it is the paper's.
    calibration: what both are worth.
    min_present: the mask is empty where the chance that there is such a thing is below this; 0
        always gives the best there is, as the paper does. Only CLIP can tell, with "agreement".
    sharpen: radius, in cells of the attention's own grid, in which maps follow the picture's
        edges; 0 leaves them as they are, as the paper does.
    size_exponent: how much the generative score favours masks that are neither tiny nor huge;
        0 is the paper's score. See `refdiff_core.choosing.scoring.generative_score`.
    quality_exponent: of the proposer's own estimate of a mask (SAM's predicted IoU): its logarithm
        times this is a term of the log-odds. 0 leaves it out, as the paper does.
    spatial_weight: how much where a proposal lies may take from how well it matches, in [0, 1];
        0 leaves geometry out, as the paper does. See `refdiff_core.choosing.fusion.fuse`.
    smallest, largest: shares of the picture between which a proposal is admissible.
    components: proposals cut out of a map are also the connected parts of its cuts, which tells
        two things of a kind apart; the paper has whole cuts only.
    percentiles: a map is cut at percentiles of its values, as in the paper (docs/method.md), not
        at shares of its range.
    union: the mask is the union of the best so many proposals.
    grow: pixels to grow the mask by; negative values shrink it.
    feather: radius in pixels over which the mask's edge fades out.
    fill: fill holes in the mask. invert: hand back everything else.
    """

    fusion: str = "agreement"
    alpha: float = 0.5
    calibration: Calibration = Calibration()
    min_present: float = 0.15
    sharpen: float = 1.5
    size_exponent: float = 0.25
    quality_exponent: float = 1.0
    # short of 1, so that among proposals that geometry rules out the better match still wins
    spatial_weight: float = 0.98
    smallest: float = 0.0005
    largest: float = 0.95
    components: bool = True
    percentiles: bool = False
    union: int = 1
    grow: int = 0
    feather: int = 0
    fill: bool = False
    invert: bool = False

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class Preset:
    """Settings of all parts that belong together, so that a caller names them once.

    attention: how a checkpoint is read. sam, clip: how they are asked. fusion: how proposals are
        made of a map, ranked, and become a mask.
    official: the parts are those of `refdiff_core.backends.official`, not ours.
    """

    attention: AttentionSettings = AttentionSettings()
    sam: SamSettings = SamSettings()
    clip: ClipSettings = ClipSettings()
    fusion: Settings = Settings()
    official: bool = False


DEFAULT = Preset()
"""The best that we have measured."""

PAPER = Preset(
    # t = 2 of 20 steps 1, 51, 101, ..., counted from 0 as the published code counts its noise
    attention=AttentionSettings(timestep=101, words="root", even=False),
    sam=AUTOMATIC,
    clip=ClipSettings(margin=0.0, ramp=True),
    fusion=Settings(
        fusion="sum",
        alpha=0.1,
        min_present=0,
        sharpen=0,
        size_exponent=0,
        quality_exponent=0,
        spatial_weight=0,
        smallest=0,
        largest=1,
        components=False,
        percentiles=True,
    ),
)
"""What the paper says (METHOD.md 1a). Where it is silent or was not at hand, docs/method.md has
what was assumed."""

OFFICIAL = Preset(
    attention=AttentionSettings(resolution=1024, words="root"),
    # of overlapping automatic masks the package compares boxes at .7
    sam=replace(AUTOMATIC, duplicate_iou=0.7),
    clip=ClipSettings(margin=0.0, ramp=True),
    # .7 hard + .3 soft + .05 diffusion, whose first two are one score
    fusion=replace(PAPER.fusion, alpha=0.05 / 1.05),
    official=True,
)
"""What the published code computes (METHOD.md 1b), for comparison only."""

PRESETS = {"default": DEFAULT, "paper": PAPER, "official": OFFICIAL}


def find_preset(settings: str | Preset) -> Preset:
    """The preset of that name or in that file, or the one that is given.

    Raises:
        SettingsError: there is none of that name, or the file holds none.
    """
    if isinstance(settings, Preset):
        return settings
    if settings in PRESETS:
        return PRESETS[settings]
    if Path(settings).suffix == ".json":
        return read_preset(Path(settings))
    raise SettingsError(
        f"There are no settings '{settings}'; use one of {', '.join(PRESETS)}, or a preset file "
        "that ends in .json."
    )


def read_preset(path: Path) -> Preset:
    """Settings from a file: what it names in place of those that it is based on.

    It holds JSON such as {"base": "default", "attention": {"timestep": 200}, "fusion":
    {"min_present": 0.3, "calibration": {"steep": 5.0}}}; what else is in it ("figures",
    "models") is for its reader.

    Raises:
        SettingsError: it cannot be read, or names what there is not.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        told = json.loads(path.read_text(encoding="utf-8-sig"))
        base = PRESETS[told.get("base", "default")]
        parts = {part: told[part] for part in _PARTS if part in told}
        return changed(base, parts)
    except SettingsError as error:
        raise SettingsError(f"'{path}' holds no such settings: {error}") from error
    except _NO_SETTINGS as error:
        raise SettingsError(
            f"'{path}' holds no settings ({type(error).__name__}: {error}). Write JSON such as "
            '{"base": "default", "fusion": {"min_present": 0.3}}.'
        ) from error


_NO_SETTINGS = (
    OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip
_PARTS = ("attention", "sam", "clip", "fusion")
