"""Which models were asked for on the command line, by name; loading them, and saying what they are.

A choice is plain data: it can be sent to another process, which then loads the models itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import torch

from ..backends.precision import fastest_dtype
from ..pipeline import Models
from ..protocols import MaskProposer
from ..settings import Preset, find_preset
from .library import find_clip, find_model
from .loading import load_demo, load_models, name_variant


@dataclass(frozen=True)
class ModelChoice:
    """The options that name models, one field each.

    `refdiff_core.command.options.model_options` has them.
    """

    demo: str = ""
    checkpoint: str | None = None
    taesd: str | None = None
    sam: str | None = None
    clip: str | None = None
    variant: str | None = None
    settings: str = "default"
    min_present: float | None = None
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"

    def check(self, *, masks: bool = False) -> None:
        """Make sure that the options go together.

        Args:
            masks: proposals come from outside.

        Raises:
            click.UsageError: they do not.
        """
        options = ("checkpoint", "sam", "clip", "taesd")
        named = [name for name in options if getattr(self, name) is not None]
        if self.demo and named:
            raise click.UsageError(f"--demo brings its own models. Leave out --{named[0]}.")
        if not self.demo and not named:
            raise click.UsageError("Name the models: --checkpoint FILE, or --demo to try it out.")
        if self.taesd is not None and self.checkpoint is None:
            raise click.UsageError("--taesd encodes pictures for a checkpoint. Add --checkpoint.")
        if masks and self.sam is not None:
            raise click.UsageError("--masks stands in for --sam. Leave one of them out.")
        if masks and self.variant == "g":
            raise click.UsageError("Variant g makes its own proposals. Leave out --masks.")

    def load(self, proposer: MaskProposer | None = None) -> Models:
        """Load the models.

        Args:
            proposer: in place of Segment Anything.

        Raises:
            click.UsageError: there is no such device.
            ModelError: see `load_models`.
        """
        device, preset = find_device(self.device), self.preset
        dtype = self._dtype(device)
        if self.demo:
            return load_demo(
                self.variant or "gsd",
                None,
                device,
                proposer,
                settings=preset,
                dtype=dtype,
                denoiser=self.demo,
            )
        return load_models(
            variant=self.variant,
            checkpoint=None
            if self.checkpoint is None
            else find_model("checkpoints", self.checkpoint),
            sam=None if self.sam is None else find_model("sams", self.sam),
            clip=None if self.clip is None else find_clip(self.clip),
            proposer=proposer,
            settings=preset,
            device=device,
            dtype=dtype,
            tiny_autoencoder=None if self.taesd is None else find_model("vae_approx", self.taesd),
        )

    def _dtype(self, device: str) -> torch.dtype:
        if self.dtype != "auto":
            named: torch.dtype = getattr(torch, self.dtype)
            return named
        return torch.float32 if self.demo else fastest_dtype(device)

    @property
    def preset(self) -> Preset:
        """The settings of all parts, the seed among them."""
        preset = find_preset(self.settings)
        if self.min_present is not None:
            fusion = replace(preset.fusion, min_present=self.min_present)
            preset = replace(preset, fusion=fusion)
        return replace(preset, attention=replace(preset.attention, seed=self.seed))

    def describe(self, *, masks: bool = False) -> dict[str, object]:
        """What the answers depend on, as plain data: settings, and the models by their content.

        Args:
            masks: proposals come from outside.

        Raises:
            ModelError: a model is not where it should be.
        """
        files = self._demo_files() if self.demo else self._files()
        there = {*files, *("s" if masks else "")}
        used = self.variant or name_variant(part for part in "gsd" if part in there)
        seen = self.device.partition(":")[0]
        device = find_device(seen) if seen == "auto" else seen
        return {
            "variant": used,
            "settings": self.settings,
            "preset": asdict(self.preset),
            "models": {
                kind: hash_files(path)
                for part, (kind, path) in files.items()
                if part[0] in used and not (masks and part == "s")
            },
            "device": device,
            "dtype": str(self._dtype(device)).removeprefix("torch."),
        }

    def _files(self) -> dict[str, tuple[str, Path]]:
        found: dict[str, tuple[str, Path]] = {}
        if self.checkpoint is not None:
            found["g"] = "checkpoint", find_model("checkpoints", self.checkpoint)
        if self.taesd is not None:
            found["g taesd"] = "taesd", find_model("vae_approx", self.taesd)
        if self.sam is not None:
            found["s"] = "sam", find_model("sams", self.sam)
        if self.clip is not None:
            name = find_clip(self.clip)
            architecture, colon, weights = name.partition(":")
            alone = not colon or Path(name).exists()
            found["d"] = ("clip", Path(name)) if alone else (f"clip {architecture}", Path(weights))
        return found

    def _demo_files(self) -> dict[str, tuple[str, Path]]:
        from ..demo.models import CLIP_FILE, DENOISER_FILE, SAM_FILE, TRANSFORMER_FILE

        file = TRANSFORMER_FILE if self.demo == "transformer" else DENOISER_FILE
        return {
            "g": ("checkpoint", file),
            "s": ("sam", SAM_FILE),
            "d": ("clip", CLIP_FILE),
        }


def find_device(name: str) -> str:
    """The device that a name means, "auto" for the GPU where there is one.

    Raises:
        click.UsageError: it is not here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()
    except Exception as error:  # each back end that is not there has an error of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise click.UsageError(f"There is no device '{name}' here ({reason}). Try cpu.") from error
    return name


def hash_files(path: Path) -> str:
    """SHA-256 of a file, or of all files below a folder with their names; 64 hex digits."""
    digest = hashlib.sha256()
    for file in _files_below(path):
        if file != path:
            digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _files_below(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from sorted(file for file in path.rglob("*") if file.is_file())
