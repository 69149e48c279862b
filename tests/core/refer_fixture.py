"""A made-up refer data set whose figures can be worked out by hand, and models that obey.

    picture 1, 30 x 20: two overlapping polygons, a crowd in plain run lengths, packed run lengths
    picture 2: is missing
    picture 3: one square

Sentences say the mask that the fake models shall give: "box 2 3 12 9" covers columns 2 to 11 of
rows 3 to 8. Run as a script, it evaluates the data set:
`refer_fixture.py ROOT OUT SECONDS [WORKERS]`.
"""

import json
import os
import pickle
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from refdiff_core.errors import UnavailableError
from refdiff_core.evaluation.evaluate import Evaluation, evaluate
from refdiff_core.evaluation.outlines import encode_mask
from refdiff_core.models.choice import ModelChoice
from refdiff_core.pipeline import Models
from refdiff_core.runs.console import working
from refdiff_core.settings import Settings
from refdiff_core.testing import FakeAttention

HEIGHT, WIDTH = 20, 30
PLAIN = Settings(sharpen=0, spatial_weight=0, size_exponent=0)


def rectangle(x0, y0, x1, y1):
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    mask[y0:y1, x0:x1] = True
    return mask


def polygon(x0, y0, x1, y1):
    return [x0, y0, x1, y0, x1, y1, x0, y1]


# columns first: 20 empty ones of 20 pixels, then ten down and ten off, five times over
CROWD = {"size": [HEIGHT, WIDTH], "counts": [400, 10, 10, 10, 10, 10, 10, 10, 10, 10, 110]}
OUTLINES = {
    11: (1, [polygon(2, 3, 12, 9), polygon(8, 5, 18, 11)], 0),
    12: (1, CROWD, 1),
    13: (1, encode_mask(rectangle(0, 15, 5, 20)), 0),
    21: (2, [polygon(0, 0, 10, 10)], 0),
    31: (3, [polygon(10, 10, 20, 20)], 0),
}
"""Picture, segmentation and crowd of every annotation."""

TRUTHS = {
    11: rectangle(2, 3, 12, 9) | rectangle(8, 5, 18, 11),
    12: rectangle(20, 0, 25, 10),
    13: rectangle(0, 15, 5, 20),
    21: rectangle(0, 0, 10, 10),
    31: rectangle(10, 10, 20, 20),
}

ASKED = [
    # annotation, sentence, intersection, union
    (11, "box 2 3 12 9", 60, 104),
    (11, "box 0 3 12 9", 60, 116),
    (12, "box 20 0 25 8", 40, 50),
    (13, "nothing", 0, 25),
    (21, "box 0 0 10 10", 0, 100),
    (31, "box 10 10 20 20", 100, 100),
    (31, "[unreadable", 0, 100),
]


def write(root, copies=1):
    """Write the data set, so many times over; pictures lie where the refer API has them."""
    folder, shown = root / "refcoco", root / "images/mscoco/images/train2014"
    folder.mkdir(parents=True)
    shown.mkdir(parents=True)
    for number in (1, 3):
        noise = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        PIL.Image.fromarray(noise).save(shown / f"COCO_{number}.png")
    instances = {"images": [], "annotations": [], "categories": [{"id": 7, "name": "box"}]}
    refs = []
    for copy in range(copies):
        instances["images"] += [_image(number, copy) for number in (1, 2, 3)]
        instances["annotations"] += [_annotation(number, copy) for number in OUTLINES]
        refs += [_ref(number, copy) for number in range(len(ASKED))]
    (folder / "instances.json").write_text(json.dumps(instances))
    (folder / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    return root


def _image(number, copy):
    name = f"COCO_{number}.png"
    return {"id": number + 10 * copy, "file_name": name, "height": HEIGHT, "width": WIDTH}


def _annotation(number, copy):
    image, outline, crowd = OUTLINES[number]
    return {
        "id": number + 1000 * copy,
        "image_id": image + 10 * copy,
        "category_id": 7,
        "segmentation": outline,
        "iscrowd": crowd,
    }


def _ref(number, copy):
    annotation, text, _, _ = ASKED[number]
    sentence = number + 100 * copy
    return {
        "ref_id": 100 + sentence,
        "ann_id": annotation + 1000 * copy,
        "category_id": 7,
        "image_id": OUTLINES[annotation][0] + 10 * copy,
        "file_name": "not to be used.jpg",
        "split": "val",
        "sent_ids": [sentence],
        "sentences": [{"raw": text.upper(), "sent": text, "sent_id": sentence, "tokens": []}],
    }


def boxed_heat(image, expression):
    """One inside the box that the text names."""
    words = expression.text.lower().split()
    if words[0] != "box":
        return torch.zeros(image.shape[:2])
    return rectangle(*map(int, words[1:])).float()


@dataclass(frozen=True)
class ObedientModels(ModelChoice):
    """In the place of real models: masks as the sentences say.

    seconds: that each takes. deadly: a file that is not there yet; whoever is to make it dies
    over it, in the midst of a picture.
    """

    seconds: float = 0.0
    deadly: Path | None = None

    def load(self, proposer=None):
        return Models(FakeAttention(self._heat), proposer, settings=PLAIN)

    def _heat(self, image, expression):
        time.sleep(self.seconds)
        if self.deadly and expression.text == "box 20 0 25 8" and not self.deadly.exists():
            self.deadly.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return boxed_heat(image, expression)


def run(root, out, seconds=0.0, deadly=None, **options):
    """Evaluate the fixture; the summary."""
    models = ObedientModels(demo="unet", device="cpu", seconds=seconds, deadly=deadly)
    with working(2) as work:
        return evaluate(Evaluation("refcoco", models, root, out=out, **options), work)


class Dies:
    """Dies over the task "die", tells who did it otherwise."""

    def __call__(self, task):
        if task == "die":
            os.kill(os.getpid(), 9)
        if task == "refuse":
            raise UnavailableError("not this one")
        return os.getpid()


def records_of(out):
    lines = (out / "records.jsonl").read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda each: each["id"])


if __name__ == "__main__":
    root, out, seconds, *workers = sys.argv[1:]
    run(Path(root), Path(out), float(seconds), workers=int(*workers or "1"))
