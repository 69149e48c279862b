"""Feeds the program what it may be fed by accident or in bad faith, and counts what comes of it.

python tests/hostile/attack.py                 the quick set, as a line of JSON a kind
python tests/hostile/attack.py --long --page   the long set, into docs/reliability.md

Every input must end in a right answer or in one error of ours. Each kind runs in a process of its
own, where there are such, with a bound on its memory; a process that dies counts as a raw error.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import files
import runs
import torch
import words

from refdiff_core.errors import RefDiffError

ROOM = 1536
"""MiB that a kind may reserve beyond what the program takes when it begins."""


@dataclass(frozen=True)
class Kind:
    """One kind of input. quick, long: how many of each set."""

    name: str
    cases: Callable[..., object]
    quick: int
    long: int


KINDS = (
    Kind("pictures", files.pictures, 200, 2500),
    Kind("model files", files.models, 400, 4000),
    Kind("checkpoints", files.checkpoints, 6, 60),
    Kind("masks", files.masks, 150, 1500),
    Kind("texts", words.texts, 300, 2500),
    Kind("lists", words.lists, 256, 1500),
    Kind("settings", words.settings, 40, 600),
    Kind("records", words.records, 60, 600),
    Kind("outlines", words.outlines, 400, 3000),
    Kind("data sets", words.data_sets, 150, 1500),
    Kind("downloads", runs.downloads, 40, 400),
    Kind("whole runs", runs.whole_runs, 1, 12),
)


@dataclass
class Tally:
    """What came of a kind's inputs; peak: MiB beyond the beginning."""

    name: str
    inputs: int = 0
    answers: int = 0
    ours: int = 0
    raw: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    peak: int = 0


def attack(kind: Kind, count: int, seed: int) -> Tally:
    """Try so many inputs of a kind."""
    tally = Tally(kind.name)
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base, "inside")
        folder.mkdir()
        precious = folder / "precious"
        precious.write_text("mine")
        Path(base, "outside").write_text("mine")
        os.chdir(folder)
        start = _peak()
        cases = kind.cases(random.Random(seed), folder)
        for _, (what, case) in zip(range(count), cases, strict=False):
            _try(what, case, tally)
            if (folder / "RAN").exists():
                (folder / "RAN").unlink()
                tally.wrong.append(f"{what}: code in it was run")
        tally.peak = _peak() - start
        names = {each.name for each in Path(base).iterdir()}
        if precious.read_text() != "mine" or names != {"inside", "outside"}:
            tally.wrong.append(f"something was written elsewhere: {names}")
        os.chdir(Path(__file__).parent)
    return tally


def _try(what: str, case: Callable[[], str | None], tally: Tally) -> None:
    tally.inputs += 1
    try:
        wrong = case()
    except RefDiffError:
        tally.ours += 1
    except Exception as error:
        if type(error).__name__ in ("DownloadError", "UsageError"):
            tally.ours += 1
        else:
            tally.raw.append(f"{what[:80]!r}: {type(error).__name__}: {str(error)[:200]}")
    else:
        tally.answers += 1
        if wrong:
            tally.wrong.append(f"{what[:80]!r}: {wrong[:200]}")


def _peak() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (
        20 if sys.platform == "darwin" else 10
    )


def _bound_memory() -> None:
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):  # elsewhere than on Linux
        return
    limit = pages * resource.getpagesize() + (ROOM << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def in_a_process(kind: Kind, count: int, seed: int) -> Tally:
    """`attack` in a fork, so that neither a crash nor a bound on memory reaches further."""
    if not hasattr(os, "fork"):
        return attack(kind, count, seed)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _bound_memory()
        with os.fdopen(write, "w") as answer:
            # errors that are told of on the way are no news here
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            answer.write(json.dumps(asdict(attack(kind, count, seed))))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    if not said:
        return Tally(kind.name, count, raw=[f"the process ended with status {status}"])
    return Tally(**json.loads(said))


PAGE = """\
# What happens to bad input

Made by `python tests/hostile/attack.py --long --page`, seed {seed}: {total:,} inputs, each of which
must end in an answer or in one error of ours. "Raw errors" are exceptions of any other kind and
processes that died; "wrong answers" are other values than the known ones where an input is whole,
values out of their range where it is damaged, code of a file that was run, files that were lost or
written elsewhere. Memory is bounded to {room} MiB beyond what the
program has when it begins; "peak" is what was used of that.

| kind | inputs tried | answers | our errors | raw errors | wrong answers | peak, MiB |
|---|---:|---:|---:|---:|---:|---:|
{rows}

| kind | what is tried |
|---|---|
{about}

The quick set runs with all tests, and as many as here from another seed with `pytest -m slow
tests/hostile`. What hostile nodes hand over in ComfyUI is tried in `tests/host`.

`pytest -m slow tests/host/test_soak.py` runs 300 prompts in one ComfyUI, each looking anew. Of its
memory it says, for the first and the last third after 100 of them: 1,183 and 1,191 MiB (0.25.0),
1,152 and 1,161 MiB (0.3.64).
"""


def page(tallies: list[Tally], seed: int) -> str:
    """The table as a page of docs/."""
    rows = [
        f"| {t.name} | {t.inputs:,} | {t.answers - len(t.wrong):,} | {t.ours:,} | {len(t.raw)} | "
        f"{len(t.wrong)} | {t.peak} |"
        for t in tallies
    ]
    about = [f"| {each.name} | {(each.cases.__doc__ or '').rstrip('.')} |" for each in KINDS]
    total = sum(each.inputs for each in tallies)
    return PAGE.format(
        seed=seed, total=total, room=ROOM, rows="\n".join(rows), about="\n".join(about)
    )


def main() -> int:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    parser = argparse.ArgumentParser(description="What the program makes of bad input.")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=[each.name for each in KINDS])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    tallies = []
    for kind in KINDS:
        if asked.kind in (None, kind.name):
            count = kind.long if asked.long else kind.quick
            tallies.append(in_a_process(kind, count, asked.seed))
            sys.stdout.write(json.dumps(asdict(tallies[-1])) + "\n")
            sys.stdout.flush()
    if asked.page:
        place = Path(__file__).parents[2] / "docs" / "reliability.md"
        place.write_text(page(tallies, asked.seed), encoding="utf-8")
    return 1 if any(each.raw or each.wrong for each in tallies) else 0


if __name__ == "__main__":
    sys.exit(main())
