"""SAM and CLIP under ComfyUI's memory management, and where their files lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import folder_paths
import numpy as np
from torch import Tensor, nn

from ..refdiff_core.backends.clip_scorer import ClipModel, load_clip
from ..refdiff_core.backends.sam_proposer import load_sam
from ..refdiff_core.errors import ModelError

SAMS, CLIPS, PRESETS = "sams", "open_clip", "refdiff"
ARCHITECTURES = (
    "ViT-B-32", "ViT-B-32-quickgelu", "ViT-B-16", "ViT-B-16-quickgelu", "ViT-L-14",
    "ViT-L-14-quickgelu", "ViT-L-14-336-quickgelu", "ViT-H-14", "ViT-bigG-14",
)  # fmt: skip
BY_NAME = "from the file's name"
DEMO_NAME = "refdiff_demo"


def register_folders() -> None:
    """Make the folders in models/ known; a folder that is known keeps its places."""
    for name in (SAMS, CLIPS, PRESETS):
        place = str(Path(folder_paths.models_dir) / name)
        if name in folder_paths.folder_names_and_paths:
            folder_paths.add_model_folder_path(name, place)
        else:
            known = {".json"} if name == PRESETS else set(folder_paths.supported_pt_extensions)
            folder_paths.folder_names_and_paths[name] = ([place], known)


def list_files(name: str) -> list[str]:
    """Files of one kind; where there are none, the list says what to do."""
    register_folders()
    return folder_paths.get_filename_list(name) or [NO_FILE]


def list_presets() -> list[str]:
    """Preset files, as `refdiff tune` writes them, and the default that is always there."""
    register_folders()
    return [NO_PRESET, *folder_paths.get_filename_list(PRESETS)]


def find_file(name: str, file: str) -> str:
    """The path of a file from `list_files`.

    Raises:
        ModelError: there is none.
    """
    if message := missing_file(name, file):
        raise ModelError(message)
    return str(folder_paths.get_full_path(name, file))


def missing_file(name: str, file: str) -> str | None:
    """What to say where there is no such file; None where there is."""
    if folder_paths.get_full_path(name, file) is not None:
        return None
    found = f"There is no '{file}' in" if file != NO_FILE else "No model is chosen: none lies in"
    return (
        f"{found} models/{name}. Put a file there ('python install.py' says where to get one), "
        "then press R to see it in the list."
    )


NO_PRESET = "default"
"""The settings without a preset file."""

NO_FILE = "(none yet)"
"""In the list where there are no files; short, so that the page does not cut it."""


@dataclass(frozen=True)
class HostClip:
    """REFDIFF_CLIP: an open_clip model and what places it on the device."""

    clip: ClipModel
    patcher: Any

    def on_device(self) -> ClipModel:
        """The model, where ComfyUI wants it to run."""
        comfy.model_management.load_models_gpu([self.patcher], force_full_load=True)
        return self.clip


def hold_clip(clip: ClipModel) -> HostClip:
    """A CLIP and what brings it to the device."""
    return HostClip(clip, hold(clip.model))


def load_host_clip(file: str, architecture: str) -> HostClip:
    """A CLIP from models/open_clip, named or told by the file's name up to its first dot."""
    path = find_file(CLIPS, file)
    name = Path(path).name.partition(".")[0] if architecture == BY_NAME else architecture
    return hold_clip(load_clip(f"{name}:{path}"))


def load_host_sam(file: str) -> nn.Module:
    """A Segment Anything model from models/sams, as SAM_MODEL."""
    return hold_sam(load_sam(find_file(SAMS, file)), file)


def hold_sam(sam: nn.Module, name: str) -> nn.Module:
    """A Sam with what other packs look for on it: ``model_name``, ``sam_wrapper``.

    Packs that run it as it is find it on the device too: its encoder, which always comes first,
    brings the whole model there.
    """
    sam.model_name = Path(name).stem
    sam.sam_wrapper = SamWrapper(sam, hold(sam))

    def bring(_encoder: nn.Module, pixels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        sam.sam_wrapper.prepare_device()
        return tuple(each.to(sam.device) for each in pixels)

    sam.image_encoder.register_forward_pre_hook(bring)
    return sam


class Held(nn.Module):
    """A model by another name: a patcher sets ``device``, which is read-only on a Sam."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


def hold(model: nn.Module) -> Any:
    """A patcher that brings a model to the device and away again as ComfyUI needs the room."""
    return comfy.model_patcher.ModelPatcher(
        Held(model),
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


class SamWrapper:
    """What Impact Pack's nodes call on a SAM_MODEL."""

    def __init__(self, sam: nn.Module, patcher: Any) -> None:
        self.model = sam
        self.patcher = patcher

    def prepare_device(self) -> None:
        """Bring the model to the device."""
        comfy.model_management.load_models_gpu([self.patcher], force_full_load=True)

    def release_device(self) -> None:
        """Nothing to do: ComfyUI takes the model away when it needs the room."""

    def predict(
        self, image: np.ndarray, points: Any, plabs: Any, bbox: Any, threshold: float
    ) -> list[np.ndarray]:
        """Masks bool (H, W) that reach the threshold, or else the best one.

        Args:
            image: uint8 (H, W, 3), RGB.
            points: XY in pixels, or nothing. plabs: 1 for inside, 0 for outside.
            bbox: XYXY in pixels, or None.
            threshold: of the predicted IoU.
        """
        from segment_anything import SamPredictor

        predictor = SamPredictor(self.model)
        predictor.set_image(image, "RGB")
        masks, scores, _ = predictor.predict(
            point_coords=np.array(points) if points else None,
            point_labels=np.array(plabs) if plabs else None,
            box=None if bbox is None else np.array([bbox]),
        )
        good = [mask for mask, score in zip(masks, scores, strict=True) if score >= threshold]
        return good or [masks[int(scores.argmax())]]


@contextmanager
def sam_on_device(sam: Any) -> Iterator[Any]:
    """The Sam of a SAM_MODEL, ours or another pack's, on the device while the block runs.

    Raises:
        ModelError: it is not a Segment Anything model of the first generation.
    """
    check_sam(sam)
    wrapper = getattr(sam, "sam_wrapper", None)
    if isinstance(wrapper, SamWrapper):
        wrapper.prepare_device()
        yield sam
        return
    home = next(sam.parameters()).device
    try:
        yield sam.to(comfy.model_management.get_torch_device())
    finally:
        sam.to(home)


def check_sam(sam: Any) -> None:
    """Refuse what is no SAM_MODEL.

    Raises:
        ModelError: it is not a Segment Anything model of the first generation.
    """
    parts = ("image_encoder", "prompt_encoder", "mask_decoder")
    whole = all(hasattr(sam, part) for part in parts)
    high_quality = whole and hasattr(sam.mask_decoder, "hf_token")  # HQ-SAM's further token
    if not whole or high_quality:
        kind = "HQ-SAM" if high_quality else type(sam).__name__
        raise ModelError(
            f"This SAM_MODEL ({kind}) is not a Segment Anything model of the first generation. "
            "Use the Load SAM node of Ref-Diff, Impact Pack or storyicon's pack with a sam_vit "
            "file; masks of SAM 2 and 3 go straight into Fuse Masks."
        )
