"""What `refdiff tune` does: find the settings that suit these models, and write a preset file.

All trials are known before the first picture: what a picture shows is read once for each way of
reading it, and whatever is only ranked differently is ranked from what is kept. Pictures are thus
done one after the other, as in `refdiff evaluate`, and what ends a run loses none of them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import click
import numpy as np
from scipy.stats import t

from ..backends.diffusers_attention import DiffusersAttention
from ..errors import DataError
from ..models.choice import ModelChoice
from ..pictures.images import write_whole
from ..pipeline import Models
from ..protocols import AttentionSource, MaskProposer
from ..ranges import changed
from ..runs.batch import open_folder
from ..runs.console import Work, table
from ..runs.records import Record
from ..settings import AttentionSettings, Preset
from ..values import AttentionMap, Expression, Image, Proposals
from .evaluate import Evaluation, answering, open_data, with_models
from .judge import Judge, Judged, Task
from .metrics import mean_and_error
from .refer import ReferImage

FEWEST = 4
"""Pictures: with one alone in each half nothing would tell luck from merit."""

Trial = dict[str, Any]
"""Other values for some settings, as a preset file has them; {} for those that are there."""

RANKING: dict[str, tuple[float, ...]] = {
    "alpha": (0.1, 0.3, 0.5, 0.7, 0.9),
    "calibration.steep": (1.0, 2.0, 4.0, 8.0, 16.0),
    "calibration.shared": (0.5, 1.5, 4.0, 10.0),
}
"""Where attention and CLIP are both asked; around values at which each can win."""
PLACES = {"spatial_weight": (0.5, 0.8, 0.95, 0.98, 1.0)}
"""Above 0, or another question would be asked of CLIP."""
CUTS = {"sharpen": (0.0, 1.0, 1.5, 2.5), "size_exponent": (0.0, 0.25, 0.5, 1.0)}
"""Where candidates are cut out of maps."""
PRESENCE = {"min_present": (0.0, 0.02, 0.05, 0.1, 0.15, 0.25, 0.4)}
"""Where CLIP looks, and some sentences mean nothing: else 0 would always be best."""


@dataclass(frozen=True)
class Tuning(Evaluation):
    """What `refdiff tune` was asked for.

    timesteps, resolutions: to read at, besides the settings' own.
    trials: of each way of reading.
    """

    timesteps: tuple[int, ...] = ()
    resolutions: tuple[int, ...] = ()
    trials: int = 60

    def check(self) -> None:
        """See `Evaluation.check`."""
        super().check()
        if self.choice.preset.official:
            raise click.UsageError(
                "The official settings are the published code's. Tune default, paper, or a file."
            )

    @property
    def place(self) -> Path:
        """Where records and preset go."""
        return self.out or super().place.with_name(f"tune-{super().place.name}")


def tune(asked: Tuning, work: Work) -> dict[str, Any]:
    """Try all trials on the pictures that have no record yet, then write tuned.json.

    The settings are chosen on every other picture and judged on the rest.

    Args:
        asked: the options.
        work: shows how far it is, and prints the figures.

    Returns:
        What tuned.json holds: a preset, its figures, the models' hashes.

    Raises:
        click.UsageError: options that do not go together.
        RefDiffError: the data set, the models or earlier records cannot be used.
    """
    asked = cast(Tuning, with_models(asked))
    images, about = open_data(asked, work)
    absent = any(not said.annotations for each in images for said in each.sentences)
    trials = list(all_trials(asked, about["variant"], absent=absent))
    about["trials"] = trials
    tuner = Tuner(asked.choice, trials, oracle=asked.oracle)
    out = open_folder(asked.place)
    with answering(asked, about, images, tuner, work) as (records, _):
        kept = {each.id: [*_of(each, records)] for each in images}
    best, figures = choose(kept)
    preset = asdict(changed(asked.choice.preset, trials[best]))
    preset.pop("official")
    told = {
        "changed": trials[best],
        "figures": figures,
        "models": about["models"],
        "data": {name: about["data"][name] for name in ("name", "split", "by")},
        **preset,
    }
    write_whole(out / "tuned.json", json.dumps(told, indent=1).encode())
    work.result(_to_text(trials[best], figures))
    file = out / "tuned.json"
    use = f"Use it: --settings {file}" if trials[best] else f"The settings as they are: {file}"
    work.result(f"\n{use}")
    return told


def all_trials(asked: Tuning, variant: str, *, absent: bool) -> Iterator[Trial]:
    """The settings as they are, then one value changed at a time, then several at once.

    Several are drawn at random, which finds good values of the few that matter with fewer trials
    than a grid (Bergstra and Bengio 2012); always the same ones.

    Args:
        asked: how many, and what to read at.
        variant: g, gs, ds or gsd.
        absent: some sentences mean nothing.
    """
    space = {
        **(RANKING if {*"gd"} <= {*variant} else {}),
        **(PLACES if asked.choice.preset.fusion.spatial_weight else {}),
        **(CUTS if variant == "g" else {}),
        **(PRESENCE if absent and "d" in variant else {}),
    }
    ranked = list(islice(_rankings(space), asked.trials))
    timesteps, resolutions = (None, *asked.timesteps), (None, *asked.resolutions)
    for timestep in timesteps if "g" in variant else (None,):
        for resolution in resolutions if "g" in variant else (None,):
            named = {"timestep": timestep, "resolution": resolution}
            reading = {name: value for name, value in named.items() if value is not None}
            for fusion in ranked:
                trial = {"attention": reading, "fusion": fusion}
                yield {part: values for part, values in trial.items() if values}


def _rankings(space: Mapping[str, Sequence[float]]) -> Iterator[dict[str, Any]]:
    yield {}
    for name, values in space.items():
        for value in values:
            yield _nested({name: value})
    draw = random.Random(0)
    while space:
        yield _nested({name: draw.choice(values) for name, values in space.items()})


def _nested(values: Mapping[str, float]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        part, _, field = name.partition(".")
        if field:
            found.setdefault(part, {})[field] = value
        else:
            found[name] = value
    return found


class Tuner:
    """What every trial makes of a picture's sentences.

    Loads its models when it is first called, so that it can be sent to another process before.

    Args:
        choice: of models.
        trials: to try.
        oracle: the objects' true masks are the proposals.
    """

    def __init__(self, choice: ModelChoice, trials: Sequence[Trial], *, oracle: bool) -> None:
        self.judge = Judge(choice, {}, oracle=oracle)
        self.presets = [changed(choice.preset, trial) for trial in trials]

    def __call__(self, task: Task) -> Judged:
        """One record a sentence, with its IoU in every trial."""
        kept: dict[AttentionSettings, Models] = {}
        tried = []
        for preset in self.presets:
            if preset.attention not in kept:
                kept[preset.attention] = self._reading(preset)
            models = replace(kept[preset.attention], settings=preset.fusion)
            judge = Judge(self.judge.choice, {}, oracle=self.judge.oracle, models=models)
            tried.append(judge(task).records)
            if all("error" in each for each in tried[0]):
                return Judged(self.failed(task, tried[0][0]["error"]))
        records = [
            {
                "image": task.image.id,
                "id": said[0]["id"],
                "ious": [round(each["iou"], 6) for each in said],
            }
            for said in zip(*tried, strict=True)
        ]
        return Judged(records)

    def failed(self, task: Task, reason: str) -> list[Record]:
        """The records of a picture that could not be done."""
        image = task.image
        return [{"image": image.id, "id": said.id, "error": reason} for said in image.sentences]

    def _reading(self, preset: Preset) -> Models:
        """Models that remember what they say of one picture, read in this way."""
        models = self.judge.models
        source, proposer = models.attention, models.proposer
        if source is not None and preset.attention != self.judge.choice.preset.attention:
            # whichever it is, it has settings as this one
            source = copy(cast(DiffusersAttention, source))
            source.settings = preset.attention
        return replace(
            models,
            attention=None if source is None else _KeptMaps(source),
            proposer=None if proposer is None else _KeptMasks(proposer),
        )


class _KeptMaps:
    """An `AttentionSource` that is asked once for each of a picture's expressions."""

    def __init__(self, source: AttentionSource) -> None:
        self.source = source
        self.device = getattr(source, "device", None)
        self.maps: dict[Expression, AttentionMap] = {}

    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        new = [each for each in dict.fromkeys(expressions) if each not in self.maps]
        if new:
            self.maps |= zip(new, self.source.read(image, new), strict=True)
        return [self.maps[each] for each in expressions]


class _KeptMasks:
    """A `MaskProposer` that is asked once for each set of a picture's maps."""

    def __init__(self, proposer: MaskProposer) -> None:
        self.proposer = proposer
        self.device = getattr(proposer, "device", None)
        # the maps as well, or other ones could come to have their ids
        self.masks: dict[tuple[int, ...], tuple[list[Proposals], Sequence[object]]] = {}

    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        key = tuple(map(id, attention))
        if key not in self.masks:
            self.masks[key] = self.proposer.propose(image, attention), tuple(attention)
        return [*self.masks[key][0]]


def _of(image: ReferImage, records: Sequence[Record]) -> Iterator[list[float]]:
    for record in records:
        if record["image"] == image.id and "ious" in record:
            yield record["ious"]


def choose(ious: Mapping[int, Sequence[Sequence[float]]]) -> tuple[int, dict[str, Any]]:
    """The first trial that is not clearly worse than the best one, and what it is worth.

    The mean IoU of every other picture decides. Trials come with the simplest first; one is clearly
    worse where it stays behind by more than chance explains, at 5 % over all trials together
    (Student's t over pictures, Bonferroni). The best of many trials owes much to luck: without it,
    what was won on some pictures was lost on others (docs/tune.md).

    Args:
        ious: for every picture its sentences' IoU in every trial.

    Returns:
        The trial's number, and mean IoU and standard error before and after, on the pictures that
        decided and on the others.

    Raises:
        DataError: fewer than `FEWEST` pictures could be read.
    """
    read = [np.array(each) for each in ious.values() if len(each)]
    if len(read) < FEWEST:
        raise DataError(
            f"{len(read)} pictures could be read, at least {FEWEST} are needed: settings are "
            "chosen on every other one and judged on the rest. Raise --limit."
        )
    halves = {"tuned_on": read[::2], "judged_on": read[1::2]}
    best = int(np.concatenate(halves["tuned_on"]).mean(0).argmax())
    clear = float(t.ppf(1 - 0.05 / read[0].shape[1], len(halves["tuned_on"]) - 1))
    for chosen in range(best + 1):
        gaps = {at: each[:, best] - each[:, chosen] for at, each in enumerate(halves["tuned_on"])}
        behind, error = mean_and_error(gaps)
        if behind <= clear * error:
            break
    figures: dict[str, Any] = {"trials": read[0].shape[1]}
    for name, half in halves.items():
        columns = {
            "before": [each[:, 0] for each in half],
            "tuned": [each[:, chosen] for each in half],
            "gain": [each[:, chosen] - each[:, 0] for each in half],
        }
        figures[name] = {"pictures": len(half), "sentences": sum(map(len, half))}
        figures[name] |= {column: _mean(values) for column, values in columns.items()}
    return chosen, figures


def _mean(values: Sequence[Any]) -> tuple[float, float]:
    mean, error = mean_and_error({number: list(each) for number, each in enumerate(values)})
    return round(mean, 4), round(error, 4)


def _to_text(trial: Trial, figures: Mapping[str, Any]) -> str:
    rows = [["mIoU (standard error)", "before", "tuned", "gain"]]
    for name in ("tuned_on", "judged_on"):
        half = figures[name]
        title = f"{name.replace('_', ' ')} {half['sentences']} sentences"
        cells = ("{:.4f} ({:.4f})".format(*half[column]) for column in rows[0][1:])
        rows.append([title, *cells])
    said = json.dumps(trial) if trial else "nothing: no trial is clearly better"
    return f"{table(rows)}\n\nChanged, of {figures['trials']} trials: {said}"
