"""What each way of reading attention is worth on the demo scenes, and where it is best read.

    python -m refdiff_core.evaluation.sweep [--scenes 60] [--write docs/maps.md]

Defaults are chosen on tuning scenes, which neither training nor the benchmark has seen; the
benchmark's own held-out scenes then say what the choice is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import torch
from tqdm import tqdm

from ..backends.diffusers_attention import DiffusersAttention
from ..backends.unet_layers import layers_on
from ..demo.models import DENOISER_FILE
from ..demo.scenes import HELD_OUT_SEED, Scene, sample_scene
from ..models.loading import load_demo
from ..pipeline import Models
from ..protocols import MaskProposer
from ..seeing.proposals import FixedProposals
from ..settings import SINKS, AttentionSettings, Settings
from ..values import Proposals
from .chart import line_chart
from .demo import ReadOnce, answer, by_group, publish, to_markdown
from .metrics import Record, chance, mean_iou, overlap, selection
from .questions import ATTRIBUTES, GROUPS, INLINE, NEGATION, RELATION, held_out_scenes, questions

TUNING_SEED = HELD_OUT_SEED + 100_000

WAYS = {
    "default": AttentionSettings(),
    "layers and words as they are": AttentionSettings(even=False),
    "root word alone": AttentionSettings(words="root"),
    f'sinks: "{SINKS}"': AttentionSettings(sinks=SINKS),
    f'sinks: "{SINKS}" three times': AttentionSettings(sinks=" ".join([SINKS] * 3)),
    "spread once along self-attention": AttentionSettings(propagation=1),
    "spread twice": AttentionSettings(propagation=2),
    "the mean spread along the finest grid's": AttentionSettings(finest=True),
    "competing nouns": AttentionSettings(competing=True),
}
"""One factor at a time."""

TIMESTEPS = (20, 100, 200, 300, 500, 700)

HEAD = """# Better maps

Made by `python -m refdiff_core.evaluation.sweep --scenes {scenes} --masks {masks} --write
docs/maps.md`, with the bundled demo models on the CPU in float32. The ideas are those of
`AttentionSettings`; docs/method.md says which of them are on, and why. **These are synthetic scenes
and a tiny denoiser**: whether sinks, self-attention or competition help a real checkpoint cannot be
seen here, and others have found that they do.

## One factor at a time

Choosing among the true masks by the generative score alone, geometry included: the share of
expressions whose object wins. On {scenes} tuning scenes (seeds from {tuning} on) and on as many of
the benchmark's held-out ones (from {held_out} on). Segmenting with the attention alone (g) and with
Segment Anything (gs): mIoU on the first {masks} tuning scenes.
"""

SECOND = """
## Where and at which noise

Choosing by colour and shape words ({groups}) on the tuning scenes, where no
geometry helps; chance is {chance:.3f}. Layers are the denoiser's cross-attentions on the latent
grid divided by a factor; the family's own (`refdiff_core.backends.families`) are those on factor
{factor}, at t = {timestep}.

![Choosing over noise levels](images/maps.svg)
"""


def tuning_scenes(count: int) -> list[Scene]:
    """Scenes like the benchmark's that are not in it."""
    return [sample_scene(TUNING_SEED + index, count=(2, 6)) for index in range(count)]


def measure(
    source: DiffusersAttention,
    scenes: Sequence[Scene],
    groups: Sequence[str] = GROUPS,
    *,
    oracle: bool = True,
    proposer: MaskProposer | None = None,
) -> list[Record]:
    """Ask every scene's questions of the attention alone.

    Args:
        source: how attention is read.
        scenes: a question's draw goes by their place.
        groups: of questions.
        oracle: the true masks are the proposals.
        proposer: where they are not; None cuts them out of the maps.
    """
    records = []
    for number, scene in enumerate(tqdm(scenes, disable=None, leave=False)):
        asked = [each for each in questions(scene, number) if each.group in groups]
        truth, image = torch.from_numpy(scene.masks), torch.from_numpy(scene.image).float() / 255
        given = FixedProposals(Proposals.of(truth)) if oracle else proposer
        models = Models(ReadOnce(source, image, asked), given)
        for each, found in zip(asked, answer(scene, asked, models, Settings()), strict=True):
            areas = overlap(found.mask, truth[each.target])
            chosen, target = (found.best, each.target) if oracle else (None, None)
            row = Record(each.text, each.group, *areas, chosen, target, chance=1 / len(truth))
            records.append(row)
    return records


def ways_table(tuning: Sequence[Scene], held_out: Sequence[Scene], masks: int) -> list[list[str]]:
    """Every way of reading, one factor changed at a time."""
    shown = (*ATTRIBUTES, RELATION, NEGATION, INLINE)
    rows = [["reading", *shown, "all", "all, held out", "g", "gs"]]
    first = DiffusersAttention.load(DENOISER_FILE)
    proposer = load_demo("gs").proposer
    for name, settings in WAYS.items():
        source = DiffusersAttention(first.model, settings)
        chosen, again = measure(source, tuning), measure(source, held_out)
        cut, sam = (
            measure(source, tuning[:masks], oracle=False, proposer=each)
            for each in (None, proposer)
        )
        figures = [f"{selection(again):.3f}", f"{mean_iou(cut):.3f}", f"{mean_iou(sam):.3f}"]
        rows.append([name, *by_group(chosen, selection, shown), *figures])
    return rows


def over_noise(scenes: Sequence[Scene]) -> dict[str, list[list[Record]]]:
    """Choosing by colour and shape for every group of layers, at each of `TIMESTEPS`."""
    first = DiffusersAttention.load(DENOISER_FILE)
    unet, factor = first.model.unet, first.model.family.grid_factor
    layers = {
        "both sides": first.layers,
        "way down": [name for name in first.layers if name.startswith("down")],
        "way up": [name for name in first.layers if name.startswith("up")],
        "coarser": layers_on(unet, 2 * factor),
        "both sides and coarser": [*first.layers, *layers_on(unet, 2 * factor)],
    }
    found: dict[str, list[list[Record]]] = {name: [] for name in layers}
    for timestep in TIMESTEPS:
        source = DiffusersAttention(first.model, AttentionSettings(timestep=timestep))
        for name, chosen in layers.items():
            source.layers = dict.fromkeys(chosen, 1.0)
            found[name].append(measure(source, scenes, ATTRIBUTES))
    return found


def report(scenes: int, masks: int) -> tuple[str, str]:
    """The page as markdown, and its chart as SVG."""
    tuning, held_out = tuning_scenes(scenes), list(held_out_scenes(scenes))
    family = DiffusersAttention.load(DENOISER_FILE).model.family
    records = over_noise(tuning)
    noise = {name: [selection(each) for each in found] for name, found in records.items()}
    rows = [["layers", *(f"t = {timestep}" for timestep in TIMESTEPS)]]
    rows += [[name, *(f"{value:.3f}" for value in values)] for name, values in noise.items()]
    head = HEAD.format(scenes=scenes, masks=masks, tuning=TUNING_SEED, held_out=HELD_OUT_SEED)
    second = SECOND.format(
        groups=", ".join(ATTRIBUTES),
        chance=chance(records["both sides"][0]),
        factor=family.grid_factor,
        timestep=family.timestep,
    )
    ways = to_markdown(ways_table(tuning, held_out, masks))
    text = "\n".join([head, ways, second, to_markdown(rows)])
    ticks = [str(timestep) for timestep in TIMESTEPS]
    return text, line_chart(noise, ticks, across="timestep of 1000", up="share chosen rightly")


@click.command()
@click.option("--scenes", default=60, show_default=True, help="Scenes to choose on.")
@click.option("--masks", default=20, show_default=True, help="Scenes to segment; slower.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write page and chart here.")
def main(scenes: int, masks: int, write: Path | None) -> None:
    """Print what each way of reading attention is worth."""
    text, chart = report(scenes, masks)
    publish(text, write)
    if write is not None:
        (write.parent / "images").mkdir(exist_ok=True)
        (write.parent / "images" / "maps.svg").write_text(chart)


if __name__ == "__main__":
    main()
