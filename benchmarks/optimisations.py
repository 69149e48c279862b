"""What each saving costs in quality, on the demo benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
import torch
from tqdm import tqdm

from refdiff_core import Models, load_demo
from refdiff_core.backends.clip_scorer import ClipScorer
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.backends.families import DEMO, SD1, SD2, SDXL, Family
from refdiff_core.backends.sam_proposer import DEMO as DEMO_SAM
from refdiff_core.backends.sam_proposer import SamProposer
from refdiff_core.backends.unet_layers import capturing, layers_read
from refdiff_core.cache import PictureCache
from refdiff_core.demo.models import DENOISER_FILE
from refdiff_core.demo.scenes import Scene
from refdiff_core.evaluation.demo import ReadOnce, answer, to_markdown
from refdiff_core.evaluation.metrics import Record, mean_iou, overlap
from refdiff_core.evaluation.questions import held_out_scenes, questions
from refdiff_core.seeing.capture import Capture
from refdiff_core.settings import AttentionSettings, ClipSettings, Settings

from .build import META, build_diffusion
from .measure import count_flops, count_parts
from .work import AUTOENCODER, DENOISER, diffusion_floor, run_denoiser

VARIANTS = ("g", "gs", "gsd")
DEFAULT = "as by default"
RESOLUTIONS = (64, 96, 128, 160, 192, 256)
FINEST = {"off": AttentionSettings(), "on": AttentionSettings(finest=True)}
LARGE = (SD1, SD2, SDXL)

PAGE = """# What savings cost

Made by `python -m benchmarks optimisations --scenes {scenes} --write docs/optimisations.md`: mIoU
on the first {scenes} scenes of the demo benchmark ([which-one.md](which-one.md)), {count}
expressions, with the bundled models on the CPU. What the savings are worth: [speed.md](speed.md).
What computing in bfloat16 costs: [precision.md](precision.md).

## Without one of them

*Change* is the largest of any variant's.

{savings}

## Resolution

The side of the square whose area the picture is brought to; the demo's denoiser was trained at
{trained}. GFLOP of autoencoder and denoiser for one expression, of a square picture.

{resolutions}

Below the resolution that it was trained at, the denoiser sees things smaller than it knows them;
above, larger. So `AttentionSettings.resolution` is the trained one unless it is set, in the
picture's own proportions, and not the published code's 1024 for every model and picture.

## The finest grid's self-attention

What `AttentionSettings.finest` costs: GFLOP of one denoiser's pass for one expression at the
resolution of each family, up to the last layer that is read, with what is made of it; and mIoU of
the demo's, whose layers all lie on one grid.

{finest}"""


def without_savings(models: Models) -> dict[str, Models]:
    """The demo's models by default, then with one saving taken back at a time."""
    attention, proposer, scorer = models.attention, models.proposer, models.scorer
    assert isinstance(attention, DiffusersAttention)
    assert isinstance(proposer, SamProposer) and isinstance(scorer, ClipScorer)
    one_by_one = DiffusersAttention(attention.model, AttentionSettings(budget=0))
    grid = SamProposer(proposer.sam, replace(DEMO_SAM, points_per_side=32, peaks=0))
    single = ClipScorer(scorer.clip, ClipSettings(budget=0))
    return {
        DEFAULT: models,
        "one expression a pass": replace(models, attention=one_by_one),
        "1,024 grid prompts, none guided": replace(models, proposer=grid),
        "one crop at a time": replace(models, scorer=single),
        "nothing kept": forgetful(models),
        "kernels channels first": replace(models, attention=channels_first()),
    }


def channels_first() -> DiffusersAttention:
    """The demo's denoiser with its weights as they lie in the file."""
    source = DiffusersAttention.load(DENOISER_FILE)
    for part in (source.model.unet, source.model.vae):
        part.to(memory_format=torch.contiguous_format)
    return source


def forgetful(models: Models) -> Models:
    """The same models without their caches."""
    assert isinstance(models.attention, DiffusersAttention)
    assert isinstance(models.proposer, SamProposer) and isinstance(models.scorer, ClipScorer)
    parts = (
        DiffusersAttention(models.attention.model),
        SamProposer(models.proposer.sam, models.proposer.settings),
        ClipScorer(models.scorer.clip),
    )
    for part in parts:
        part.cache = PictureCache(0)
    return Models(*parts)


def at_resolutions(models: Models, resolutions: Iterable[int]) -> dict[str, Models]:
    """The demo's models, shown the picture at these sizes."""
    assert isinstance(models.attention, DiffusersAttention)
    model = models.attention.model
    return {
        str(side): replace(
            models, attention=DiffusersAttention(model, AttentionSettings(resolution=side))
        )
        for side in resolutions
    }


def read_finely(models: Models) -> dict[str, Models]:
    """The demo's models without and with `AttentionSettings.finest`."""
    assert isinstance(models.attention, DiffusersAttention)
    model = models.attention.model
    return {
        name: replace(models, attention=DiffusersAttention(model, settings))
        for name, settings in FINEST.items()
    }


def pass_cost(family: Family, settings: AttentionSettings) -> float:
    """GFLOP of a pass and of the words' maps, of one expression with two words."""
    model = build_diffusion(family, META, torch.float16)
    layers = layers_read(model.unet, family)

    def read() -> None:
        capture = Capture.of_unet(layers, torch.zeros(1, 77, 2, device=META), settings)
        with capturing(model.unet, capture):
            run_denoiser(model, family.resolution, 1)
        capture.word_maps()

    return count_flops(read) / 1e9


def ask_all(
    scenes: Sequence[Scene], trials: Mapping[str, Models]
) -> dict[str, dict[str, list[Record]]]:
    """Every question of every scene to every trial: records by trial, then by variant."""
    records: dict[str, dict[str, list[Record]]] = {
        name: {variant: [] for variant in VARIANTS} for name in trials
    }
    for number, scene in enumerate(tqdm(scenes, disable=None, leave=False)):
        asked, truth = questions(scene, number), torch.from_numpy(scene.masks)
        image = torch.from_numpy(scene.image).float() / 255
        for name, models in trials.items():
            assert models.attention
            read = replace(models, attention=ReadOnce(models.attention, image, asked))
            for variant in VARIANTS:
                parts = replace(
                    read,
                    proposer=read.proposer if "s" in variant else None,
                    scorer=read.scorer if "d" in variant else None,
                )
                found = answer(scene, asked, parts, Settings())
                for each, result in zip(asked, found, strict=True):
                    union = overlap(result.mask, truth[each.target])
                    records[name][variant].append(Record(each.text, each.group, *union, chance=0))
    return records


def figures(records: Mapping[str, Sequence[Record]]) -> list[float]:
    """The mIoU of every variant."""
    return [mean_iou(records[variant]) for variant in VARIANTS]


def savings_table(found: Mapping[str, Mapping[str, Sequence[Record]]]) -> str:
    """mIoU without each saving, and by how much that differs from the default."""
    default = figures(found[DEFAULT])
    rows = [["", *VARIANTS, "change"]]
    for name, records in found.items():
        got = figures(records)
        change = max((b - a for a, b in zip(default, got, strict=True)), key=abs)
        rows.append([name, *(f"{each:.3f}" for each in got), f"{change:+.3f}"])
    return to_markdown(rows)


def resolution_table(found: Mapping[str, Mapping[str, Sequence[Record]]]) -> str:
    """mIoU and work at each resolution."""
    model = build_diffusion(DEMO, META, torch.float32)
    rows = [["resolution", "GFLOP", *VARIANTS]]
    for name, records in found.items():
        cost = count_parts(diffusion_floor(model, int(name), 1))
        work = 1000 * (cost[AUTOENCODER] + cost[DENOISER])
        rows.append([name, f"{work:.2f}", *(f"{each:.3f}" for each in figures(records))])
    return to_markdown(rows)


def finest_table(found: Mapping[str, Mapping[str, Sequence[Record]]]) -> str:
    """Work by family and mIoU, without and with the finest grid's self-attention."""
    rows = [["finest", *(family.name for family in LARGE), *VARIANTS]]
    for name, records in found.items():
        costs = (f"{pass_cost(family, FINEST[name]):.1f}" for family in LARGE)
        rows.append([name, *costs, *(f"{each:.3f}" for each in figures(records))])
    return to_markdown(rows)


@click.command()
@click.option("--scenes", default=30, show_default=True, help="How many held-out scenes.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page here.")
def optimisations(scenes: int, write: Path | None) -> None:
    """What each saving costs in mIoU on the demo benchmark, and what resolution is worth."""
    drawn, models = list(held_out_scenes(scenes)), load_demo()
    savings = ask_all(drawn, without_savings(models))
    sides = ask_all(drawn, at_resolutions(models, RESOLUTIONS))
    text = PAGE.format(
        scenes=scenes,
        count=len(savings[DEFAULT]["g"]),
        trained=DEMO.resolution,
        savings=savings_table(savings),
        resolutions=resolution_table(sides),
        finest=finest_table(ask_all(drawn, read_finely(models))),
    )
    click.echo(text)
    if write is not None:
        write.write_text(text + "\n")
