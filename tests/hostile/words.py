"""Hostile texts, lists, records, outlines and references."""

import csv
import io
import json
import pickle
import random
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from damage import NUMBERS, damaged, odd_text

from refdiff_core import load_demo, segment
from refdiff_core.backends.tokens import tokenize
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.evaluation.outlines import decode_mask, encode_mask
from refdiff_core.evaluation.refer import Annotation, load_refer
from refdiff_core.language.expression import parse_lines
from refdiff_core.ranges import RANGES
from refdiff_core.runs.manifest import load_manifest
from refdiff_core.runs.records import open_records
from refdiff_core.settings import (
    AttentionSettings,
    Calibration,
    ClipSettings,
    SamSettings,
    Settings,
)

KNOWN = (
    ("the red circle", "circle"), ("guy far right blue shirt", "guy"),
    ("second cup from the left", "cup"), ("the dog behind the bench", "dog"),
    ("the largest star", "star"), ("woman in white", "woman"), ("the cup, not the red one", "cup"),
)  # fmt: skip
PARTS = (
    "the", "red", "left", "of", "not:", "not", "on", "[", "]", "without", "second", "from", "cup",
    "and", "behind", "largest", "all", "two", "or", "except", ",", ".", "'s", "-", "12", "1st",
)  # fmt: skip


def texts(rng: random.Random, _folder: Path):
    """Lines of any letters and words: read, or refused; known ones keep their noun."""

    def read(text):
        for line in parse_lines(text):
            for word in line.target_words:
                if not 0 <= word.start < word.end <= len(line.text):
                    return f"a word outside its text: {word}"
            tokenize(line.text)
        return None

    def noun(text, wanted):
        (line,) = parse_lines(text)
        found = {word.text.lower() for word in line.target_words}
        return None if wanted in found else f"{text!r}: {sorted(found)}"

    for number in range(10**9):
        known, wanted = rng.choice(KNOWN)
        kind = number % 5
        if kind == 0:
            said = rng.choice((f"  {known} ", known.upper(), known.replace(" ", "  "), f"{known}."))
            yield f"text {number}", lambda said=said, wanted=wanted: noun(said, wanted)
            continue
        if kind == 1:
            text = odd_text(known, rng)
        elif kind == 2:
            text = " ".join(rng.choices(PARTS, k=rng.randint(0, 30)))
        elif kind == 3:
            text = "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randint(0, 60)))
        else:
            text = odd_text(known * rng.choice((1, 30)), rng)
        yield f"text {number} {text[:40]!r}", lambda text=text: read(text)


# --- lists ------------------------------------------------------------------------------

ENTRIES = {"a.jpg": ("the red cup", "the dog"), "b.png": ("it, not the red one",)}


def _as_csv(rng: random.Random) -> bytes:
    content = io.StringIO()
    mark = rng.choice(",;\t")
    end = rng.choice(("\n", "\r\n"))
    write = csv.writer(content, delimiter=mark, lineterminator=end)
    write.writerow(["image", rng.choice(("expression", "Expression ")), "expression_2", "note"])
    for image, lines in ENTRIES.items():
        write.writerow([image, *lines, *[""] * (2 - len(lines)), "the blue note"])
    return rng.choice((b"", b"\xef\xbb\xbf")) + content.getvalue().encode()


def _as_json(rng: random.Random) -> bytes:
    rows = [{"image": image, "expressions": list(lines)} for image, lines in ENTRIES.items()]
    return "\n".join(json.dumps(row) for row in rows).encode()


def lists(rng: random.Random, folder: Path):
    """Lists in both forms, whole, damaged, and with odd values."""
    makes = {".csv": _as_csv, ".jsonl": _as_json}

    def check(path, whole):
        found = {entry.image: entry.lines for entry in load_manifest(path)}
        if not all(image and lines for image, lines in found.items()):
            return "an entry of nothing"
        return f"other entries: {found}" if whole and found != ENTRIES else None

    def odd():
        value = rng.choice((*NUMBERS, "x"))
        row = {"image": rng.choice(("a.jpg", value)), rng.choice(("expression", "x")): value}
        deep = "[" * rng.choice((0, 0, 0, 10**5))
        return (deep + json.dumps(row)).encode()

    for number in range(10**9):
        suffix = (".csv", ".jsonl")[number % 2]
        path, whole = folder / f"list{suffix}", number % 8 < 2
        if number % 8 == 7:
            content = odd()
        elif number % 64 == 4:
            content = b"image," + b"x" * 200_000 + b",expression\n"
        else:
            content = makes[suffix](rng) if whole else damaged(makes[suffix](rng), rng)
        path.write_bytes(content)
        yield f"list {number}", lambda path=path, whole=whole: check(path, whole)


def records(rng: random.Random, folder: Path):
    """Records after accidents: what is whole is kept, the rest is done again, nothing is lost."""
    wanted = {f"{n}.png": ["the cup", "the dog"] for n in range(6)}
    place, run = folder / "run", {"version": "1"}
    place.mkdir(exist_ok=True)
    file = place / "records.jsonl"

    def write():
        with open_records(place, run, fresh=True) as kept:
            for image, lines in wanted.items():
                kept.append([{"image": image, "id": line, "n": 1} for line in lines])

    def check(before):
        whole = set(before.split(b"\n")[:-1])
        must = {
            image
            for image, lines in wanted.items()
            if all(json.dumps({"image": image, "id": i, "n": 1}).encode() in whole for i in lines)
        }
        again = before.count(b"\n") > 12  # something is there twice
        with open_records(place, run) as kept:
            done = kept.resume(wanted)
            for image in wanted.keys() - done:
                kept.append([{"image": image, "id": line, "n": 1} for line in wanted[image]])
            everything = kept.resume(wanted)
        if not again and must - done:
            return f"lost {must - done}"
        return None if everything == set(wanted) else "not whole after it was done again"

    for number in range(10**9):
        write()
        content = damaged(file.read_bytes(), rng)
        file.write_bytes(content)
        yield f"records {number}", lambda content=content: check(content)


# --- settings ---------------------------------------------------------------------------

COSTLY = ("resolution", "points_per_side", "zoom", "propagation")
PARTS_OF_PRESETS = {
    "attention": AttentionSettings(), "sam": SamSettings(), "clip": ClipSettings(),
    "fusion": Settings(), "calibration": Calibration(),
}  # fmt: skip


def settings(rng: random.Random, folder: Path):
    """Preset files with odd values and with the ends of ranges: refused, or a mask is made so"""
    path = folder / "mine.json"
    image = torch.from_numpy(sample_scene(HELD_OUT_SEED + 3, size_hw=(96, 128)).image).float() / 255

    def values(name):
        wanted = RANGES.get(name, ())
        ends = () if not wanted or isinstance(wanted[0], str) else (wanted[0], wanted[-1])
        return (*NUMBERS, "x", *8 * (ends[:1] if name in COSTLY else ends or wanted))

    def written():
        part = rng.choice(list(PARTS_OF_PRESETS))
        names = [
            field.name for field in fields(PARTS_OF_PRESETS[part]) if field.name != "calibration"
        ]
        told = {name: rng.choice(values(name)) for name in rng.sample(names, rng.choice((1, 1, 2)))}
        told = {"fusion": {"calibration": told}} if part == "calibration" else {part: told}
        return json.dumps({"base": rng.choice(("default", "paper")), **told}).encode()

    def answer():
        (found,) = segment(image, "the red circle", load_demo("gsd", settings=str(path)))
        mask = found.mask
        right = mask.shape == image.shape[:2] and 0 <= mask.min() <= mask.max() <= 1
        return None if right else f"a mask {tuple(mask.shape)} from {mask.min()} to {mask.max()}"

    for number in range(10**9):
        content = written()
        path.write_bytes(damaged(content, rng) if number % 4 == 3 else content)
        yield f"settings {content.decode()}", answer


# --- data sets --------------------------------------------------------------------------


def outlines(rng: random.Random, _folder: Path):
    """Outlines of objects: the mask that was drawn, or one error of ours."""
    size_hw = (12, 20)

    def check(outline, wanted=None):
        found = decode_mask(Annotation(1, "thing", outline), size_hw)
        if found.dtype != torch.bool or tuple(found.shape) != size_hw:
            return f"{tuple(found.shape)} of {found.dtype}"
        return "another mask" if wanted is not None and not torch.equal(found, wanted) else None

    def mask():
        return torch.from_numpy(np.random.default_rng(rng.randrange(2**32)).random(size_hw) < 0.4)

    def polygon():
        # numbers that end the process in pycocotools, and those that are no numbers
        points = [rng.uniform(-3, 25) for _ in range(rng.choice((6, 8, 7, 2)))]
        points[rng.randrange(len(points))] = rng.choice((*NUMBERS, 3.5))
        return rng.choice(([points], [points, [1, 1, 5, 1, 5, 5]], points, [[points]], [[]]))

    def code():
        drawn = encode_mask(mask())
        counts = rng.choice(
            (
                damaged(drawn["counts"].encode(), rng).decode("latin1"),
                [rng.choice(NUMBERS) for _ in range(4)],
                [3, 10**18],
                "",
                rng.choice(NUMBERS),
            )
        )
        size = rng.choice((list(size_hw), [10**9, 10**9], [20, 12], [0, 0], rng.choice(NUMBERS)))
        return {"size": size, "counts": counts}

    for number in range(10**9):
        if number % 3 == 0:
            wanted = mask()
            outline = _runs_of(wanted) if number % 2 else encode_mask(wanted)
            yield f"mask {number}", lambda o=outline, w=wanted: check(o, w)
        else:
            outline = polygon() if number % 3 == 1 else code()
            yield f"outline {number} {str(outline)[:60]}", lambda o=outline: check(o)


def _runs_of(mask: torch.Tensor):
    """The outline of a mask as the lengths of its runs, down the columns, outside first."""
    runs = np.diff(np.flatnonzero(np.diff(mask.T.flatten().numpy(), prepend=2)))
    counts = [*([0] if mask[0, 0] else []), *runs.tolist()]
    counts.append(mask.numel() - sum(counts))
    return {"size": list(mask.shape), "counts": counts}


def data_sets(rng: random.Random, folder: Path):
    """Data sets with odd values in their lists, damaged pickles, and such as run code."""
    place = folder / "odd"
    (place / "images").mkdir(parents=True, exist_ok=True)

    class Runs:
        def __reduce__(self):
            return (open, (str(folder / "RAN"), "w"))

    def write(spoil):
        image = {"id": 1, "height": 12, "width": 20, "file_name": "a.png"}
        note = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4]]}
        said = {"sent_id": 1, "sent": "the cup", "raw": "the cup"}
        ref = {"ref_id": 1, "ann_id": 1, "image_id": 1, "split": "val", "sentences": [said]}
        data = {"images": [image], "annotations": [note], "categories": [{"id": 1, "name": "cup"}]}
        if spoil:
            row = rng.choice((image, note, said, ref, data))
            row[rng.choice(list(row))] = rng.choice(NUMBERS)
        (place / "instances.json").write_text(json.dumps(data))
        refs = pickle.dumps([ref], rng.choice((0, 2, 4)))
        if spoil and rng.random() < 0.5:
            refs = rng.choice((pickle.dumps([Runs()]), damaged(refs, rng)))
        (place / "refs(unc).p").write_bytes(refs)

    def check(whole):
        (image,) = load_refer(folder, "odd", "val").images
        for each in image.annotations:
            found = decode_mask(each, image.size_hw)
            if tuple(found.shape) != image.size_hw:
                return f"{tuple(found.shape)}"
        right = [each.text for each in image.sentences] == ["the cup"]
        return None if right or not whole else "another data set"

    for number in range(10**9):
        whole = number % 10 == 0
        write(not whole)
        yield f"data set {number}", lambda whole=whole: check(whole)
