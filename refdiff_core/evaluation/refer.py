"""The refer data sets (RefCOCO, RefCOCO+, RefCOCOg, gRefCOCO), and anything laid out as they are.

    <root>/<name>/instances.json    COCO's images, annotations and categories
    <root>/<name>/refs(<by>).p      a pickled list of references, each with its sentences
    <root>/grefcoco/grefs(unc).json gRefCOCO's: sentences that mean several things, or none
    <root>/images/mscoco/images/train2014/   the pictures; see `picture_folders`

Source: the layout and the sums of github lichengunc/refer, as METHOD.md 4 has them; gRefCOCO's of
github henghuiding/ReLA.
"""

from __future__ import annotations

import builtins
import io
import json
import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError

BY = {"refcoco": "unc", "grefcoco": "unc", "refcoco+": "unc", "refcocog": "umd", "demo": "refdiff"}
"""Whose references are read when nobody says: of RefCOCOg the split without shared pictures."""
TEXTS = ("sent", "raw")
LARGEST_SIDE = 2**15
"""Pixels: four times the largest picture of any data set of this layout."""


@dataclass(frozen=True)
class Annotation:
    """One object's outline.

    segmentation: COCO's: a list of polygons [x0, y0, x1, y1, ...], or a run-length code.
    crowd: it stands for a group of things.
    """

    id: int
    category: str
    segmentation: Any
    crowd: bool = False


@dataclass(frozen=True)
class Sentence:
    """One sentence, and the objects that it means.

    annotations: their ids, mostly one; none where the picture does not show what is asked for.
    text: as it will be asked; a second line "not: ..." says what is not meant.
    group: what it tests, for data sets that say so.
    rest: everything but these objects is meant.
    """

    id: int
    ref: int
    annotations: tuple[int, ...]
    text: str
    group: str = ""
    rest: bool = False


@dataclass(frozen=True)
class ReferImage:
    """One picture with its objects and all sentences of a split about it, in order of their ids."""

    id: int
    path: Path
    size_hw: tuple[int, int]
    annotations: tuple[Annotation, ...]
    sentences: tuple[Sentence, ...]

    def annotation(self, number: int) -> Annotation:
        """The annotation of an id."""
        return next(each for each in self.annotations if each.id == number)


@dataclass(frozen=True)
class ReferSplit:
    """What is read of a data set.

    files: the two files that it came from.
    """

    name: str
    by: str
    split: str
    text: str
    images: tuple[ReferImage, ...]
    files: tuple[Path, Path]


def load_refer(
    root: Path,
    name: str,
    split: str,
    *,
    by: str | None = None,
    text: str = "sent",
    images: Path | None = None,
) -> ReferSplit:
    """Read one split of a data set.

    Args:
        root: folder that holds the data set's folder.
        name: refcoco, refcoco+, refcocog, grefcoco or another folder of that layout.
        split: such as val, testA or test.
        by: whose references: unc, umd, google.
        text: "sent" for the cleaned sentences (Ref-Diff's), "raw" for those as they were typed
            (Zero-shot-RIS, HybridGL).
        images: folder of the pictures.

    Raises:
        DataError: files are missing or damaged, or there is no such split.
    """
    by = by or BY.get(name, "unc")
    refs_file = f"grefs({by}).json" if name == "grefcoco" else f"refs({by}).p"
    files = root / name / "instances.json", root / name / refs_file
    instances, refs = read_instances(files[0]), read_refs(files[1])
    chosen = [ref for ref in refs if ref["split"] == split]
    if not chosen:
        splits = ", ".join(sorted({str(ref["split"]) for ref in refs})) or "none at all"
        raise DataError(f"'{files[1]}' has no split '{split}'. It has: {splits}.")
    folder = images or _find_pictures(root, name)
    try:
        found = tuple(_join(instances, chosen, folder, text))
    except Exception as error:  # whatever other data than these lists of objects lead to
        raise DataError(
            f"'{files[0]}' and '{files[1]}' do not belong together: {error!r}. "
            "Unpack the data set anew."
        ) from error
    return ReferSplit(name, by, split, text, found, files)


def read_instances(path: Path) -> dict[str, Any]:
    """COCO's instances.json, checked for its three lists.

    Raises:
        DataError: it is missing, or something else.
    """
    data = _parse(path, lambda content: json.loads(content))
    lists = ("images", "annotations", "categories")
    if not isinstance(data, dict) or not all(isinstance(data.get(key), list) for key in lists):
        raise DataError(f"'{path}' does not hold the lists {', '.join(lists)} as COCO's files do.")
    return data


def read_refs(path: Path) -> list[dict[str, Any]]:
    """The references, from JSON or from a pickle that may hold nothing but plain data.

    Raises:
        DataError: it is missing or damaged, holds anything else, or would run code.
    """
    refs = _parse(path, json.loads if path.suffix == ".json" else load_plain_pickle)
    keys = {"ref_id", "ann_id", "image_id", "split", "sentences"}
    if not isinstance(refs, list) or not all(isinstance(r, dict) and keys <= {*r} for r in refs):
        raise DataError(
            f"'{path}' is not a list of references with {', '.join(sorted(keys))} each."
        )
    return refs


def _parse(path: Path, parse: Any) -> Any:
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        return parse(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"There is no '{path}'. --root names the folder that holds the data set's folder, "
            "--by whose references it has."
        ) from error
    except Exception as error:  # what damaged files make of their readers is not to be foreseen
        raise DataError(f"'{path}' cannot be read: {error}. Unpack the data set anew.") from error


_PLAIN = frozenset({"set", "frozenset", "list", "dict", "tuple", "str", "int", "float", "bool"})


class _PlainUnpickler(pickle._Unpickler):
    """Admits plain builtin types only; `builtins.eval` and the like are builtins, but not plain.

    Python's own, in Python: in the one in C a few bytes reserve gigabytes.
    """

    dispatch = {
        code: run
        for code, run in pickle._Unpickler.dispatch.items()
        if bytes([code]) not in (pickle.BYTEARRAY8, pickle.EXT1, pickle.EXT2, pickle.EXT4)
    }

    def find_class(self, module: str, name: str) -> Any:
        """A plain type, or an error."""
        if module in ("builtins", "__builtin__") and name in _PLAIN:
            return getattr(builtins, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no plain data needs")


def load_plain_pickle(content: bytes) -> Any:
    """Unpickle lists, dicts, texts and numbers, and nothing that could run code.

    Raises:
        pickle.UnpicklingError: the pickle asks for anything else, or is damaged.
    """
    # the published files are Python 2's; their texts are ASCII
    return _PlainUnpickler(io.BytesIO(content), encoding="utf-8").load()


def _join(
    instances: Mapping[str, Any], refs: Sequence[Mapping[str, Any]], folder: Path, text: str
) -> Iterable[ReferImage]:
    known = {each["id"]: each for each in instances["images"]}
    names = {each["id"]: str(each["name"]) for each in instances["categories"]}
    wanted: dict[int, list[Sentence]] = {}
    for ref in refs:
        wanted.setdefault(ref["image_id"], []).extend(_sentences(ref, text))
    objects: dict[int, list[Annotation]] = {number: [] for number in wanted}
    for each in instances["annotations"]:
        if each["image_id"] in objects:
            objects[each["image_id"]].append(_annotation(each, names))
    for number in sorted(wanted):
        image, found = known[number], tuple(objects[number])
        sentences = tuple(sorted(wanted[number], key=lambda sentence: sentence.id))
        _check_single(number, "annotation", [each.id for each in found])
        _check_single(number, "sentence", [each.id for each in sentences])
        meant = {number for each in sentences for number in each.annotations}
        missing = meant - {each.id for each in found}
        if missing:
            raise KeyError(f"picture {number} has no annotation {min(missing)}")
        yield ReferImage(number, folder / image["file_name"], _size(image), found, sentences)


def _check_single(image: int, kind: str, ids: Sequence[int]) -> None:
    """One of two of the same id would be answered, and judged, in the other's place."""
    if len(set(ids)) < len(ids):
        twice = next(each for each in ids if ids.count(each) > 1)
        raise ValueError(f"picture {image} has two {kind}s {twice}")


def _size(image: Mapping[str, Any]) -> tuple[int, int]:
    """(H, W), or (0, 0) where it is none: that concerns one picture, not the data set."""
    sides = image["height"], image["width"]
    plain = all(isinstance(each, int) and 0 < each <= LARGEST_SIDE for each in sides)
    return sides if plain else (0, 0)


def _sentences(ref: Mapping[str, Any], text: str) -> Iterable[Sentence]:
    said = ref["ann_id"] if isinstance(ref["ann_id"], list) else [ref["ann_id"]]
    # gRefCOCO says -1 where nothing is meant
    meant = tuple(dict.fromkeys(number for number in said if number != -1))
    for each in ref["sentences"]:
        group, rest = str(each.get("group", "")), bool(ref.get("rest", False))
        yield Sentence(each["sent_id"], ref["ref_id"], meant, str(each[text]), group, rest)


def _annotation(each: Mapping[str, Any], names: Mapping[int, str]) -> Annotation:
    category = names.get(each["category_id"], str(each["category_id"]))
    return Annotation(each["id"], category, each["segmentation"], bool(each.get("iscrowd", 0)))


def picture_folders(root: Path, name: str) -> list[Path]:
    """Where pictures are looked for, the refer API's own place first."""
    places = ("images/mscoco/images/train2014", "images/train2014", "train2014")
    return [*(root / place for place in places), root / name / "images"]


def _find_pictures(root: Path, name: str) -> Path:
    places = picture_folders(root, name)
    for place in places:
        if place.is_dir():
            return place
    looked = ", ".join(f"'{place}'" for place in places)
    raise DataError(f"There are no pictures in {looked}. Name their folder with --images.")
