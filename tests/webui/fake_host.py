"""A stand-in for a WebUI's `modules` package over the demo's weights, of both lines of hosts."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest.mock import MagicMock

import torch
from ldm_like import demo_unet
from safetensors.torch import load_file

from refdiff_core.backends.checkpoints import StableDiffusion, load_stable_diffusion
from refdiff_core.backends.diffusers_attention import encode_text
from refdiff_core.backends.tokens import CHUNK, END, START, Tokens, tokenize
from refdiff_core.demo.models import DENOISER_FILE

ROOT = Path(__file__).parents[2]
EMBEDDING = "sks"
"""A word that the host takes for an embedding of three vectors."""


@lru_cache(maxsize=1)
def demo_checkpoint() -> StableDiffusion:
    """The demo's through diffusers, for the stand-ins' text and pictures and to compare with."""
    return load_stable_diffusion(DENOISER_FILE)


class SdConditioning(list):
    """As the hosts': prompts with the size of the picture."""

    def __init__(self, prompts: list[str], width: int = 0, height: int = 0) -> None:
        super().__init__(prompts)
        self.width, self.height = width, height


class TextEngine:
    """Lays prompts out in chunks of 77; brackets weigh and a backslash makes them text."""

    def ids(self, prompt: str) -> list[int]:
        plain, escaped = "", False
        for letter in prompt:
            if letter == "\\" and not escaped:
                escaped = True
            elif escaped or letter not in "()[]":
                plain, escaped = plain + letter, False
        own = tokenize(EMBEDDING).ids
        found = list(tokenize(plain).ids)
        for at in reversed(range(len(found))):
            if tuple(found[at : at + len(own)]) == own:
                found[at : at + len(own)] = [0, 0, 0]
        return found

    def tokenize_line(self, prompt: str) -> tuple[list[Any], int]:
        ids = self.ids(prompt)
        parts = [ids[at : at + CHUNK] for at in range(0, len(ids), CHUNK)] or [[]]
        rows = [[START, *part, *[END] * (CHUNK - len(part)), END] for part in parts]
        return [SimpleNamespace(tokens=row) for row in rows], len(ids)


class Model:
    """What both lines share of `shared.sd_model`: the text's side. It is kept in one precision.

    notes: what is kept of every prompt that is encoded, for the picture's info.
    """

    noted: ClassVar[dict[str, type]] = {}

    def __init__(self, channels: int = 4, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        self.unet = demo_unet(load_file(DENOISER_FILE), channels).to(dtype)
        self.core = demo_checkpoint()
        self.vae = torch.nn.Module.to(copy.deepcopy(self.core.vae), dtype)
        self.engine = TextEngine()
        self.asked: list[SdConditioning] = []
        self.passes: list[torch.Tensor] = []
        self.notes = SimpleNamespace(**{name: type_() for name, type_ in self.noted.items()})
        self.unet.register_forward_pre_hook(lambda _module, given: self.passes.append(given[0]))

    @torch.no_grad()
    def get_learned_conditioning(self, prompts: SdConditioning) -> torch.Tensor:
        self.asked.append(prompts)
        for notes in vars(self.notes).values():
            for each in prompts:
                notes.append(each) if isinstance(notes, list) else notes.update({each: "noted"})
        ids = [tuple(self.engine.ids(each)) for each in prompts]
        return encode_text(self.core, [Tokens(each, ()) for each in ids])[0].to(self.dtype)


class WebuiModel(Model):
    """AUTOMATIC1111's: ldm's LatentDiffusion."""

    parameterization = "v"
    noted: ClassVar[dict[str, type]] = {"extra_generation_params": dict, "comments": list}

    def __init__(self, channels: int = 4, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(channels, dtype)
        self.model = SimpleNamespace(diffusion_model=self.unet)
        self.first_stage_model = self.vae
        self.cond_stage_model = self.engine

    def apply_model(self, x: torch.Tensor, t: torch.Tensor, cond: dict[str, Any]) -> torch.Tensor:
        """The host has wrapped it, so that all that comes is brought to the U-Net's precision."""
        x, text, extra = (
            each.to(self.dtype)
            for each in (x, torch.cat(cond["c_crossattn"], 1), cond["c_concat"][0])
        )
        seen = [x, extra] if self.unet.in_channels > 4 else [x]
        return self.unet(torch.cat(seen, 1), t, text).float()


class ForgeModel(Model):
    """Forge's: patchers around the modules; samplers may be told of another kind of noise."""

    noted: ClassVar[dict[str, type]] = {"last_extra_generation_params": dict}

    def __init__(
        self,
        channels: int = 4,
        dtype: torch.dtype = torch.float32,
        predicts: str = "v_prediction",
    ) -> None:
        super().__init__(channels, dtype)
        inner = SimpleNamespace(
            diffusion_model=self.unet,
            predictor=SimpleNamespace(sigmas=torch.rand(1000), prediction_type=predicts),
            computation_dtype=dtype,
        )
        patcher = SimpleNamespace(
            model=inner, load_device=torch.device("cpu"), model_options={"transformer_options": {}}
        )
        vae = SimpleNamespace(first_stage_model=self.vae)
        self.forge_objects = SimpleNamespace(unet=patcher, vae=vae)
        self.text_processing_engine = self.engine
        self.prepared: list[str] = []


def _encode(image: torch.Tensor, _approximation: int, model: Model) -> torch.Tensor:
    """As the hosts: a draw from the autoencoder's spread."""
    vae = model.vae
    drawn = vae.encode((image * 2 - 1).to(vae.dtype)).latent_dist.sample()
    return drawn * vae.config.scaling_factor


def modules_of(model: Model | None, folder: Path) -> dict[str, Any]:
    """What `import modules` and its like find."""
    state = SimpleNamespace(interrupted=False, job="", jobs=[])
    state.begin = lambda job: (state.jobs.append(job), setattr(state, "interrupted", False))
    state.end = lambda: state.jobs.append("end")
    state.interrupt = lambda: setattr(state, "interrupted", True)

    def autocast() -> contextlib.AbstractContextManager[Any]:
        half = model is not None and model.dtype != torch.float32
        return torch.autocast("cpu", model.dtype) if half else contextlib.nullcontext()

    class Script:
        pass

    parts = {
        "devices": SimpleNamespace(device=torch.device("cpu"), autocast=autocast),
        "prompt_parser": SimpleNamespace(SdConditioning=SdConditioning),
        "sd_samplers_common": SimpleNamespace(
            images_tensor_to_samples=_encode,
            sampling_prepare=lambda *_: model.prepared.append("prepared"),
            sampling_cleanup=lambda *_: model.prepared.append("cleaned up"),
        ),
        "shared": SimpleNamespace(
            sd_model=model, opts=SimpleNamespace(emphasis="Original"), state=state
        ),
        "sd_models": SimpleNamespace(),
        "call_queue": SimpleNamespace(queue_lock=threading.Lock()),
        "errors": SimpleNamespace(report=MagicMock()),
        "paths": SimpleNamespace(models_path=str(folder / "models")),
        "scripts": SimpleNamespace(Script=Script, AlwaysVisible=object()),
        "script_callbacks": SimpleNamespace(on_after_component=lambda note: None),
    }
    found: dict[str, Any] = {f"modules.{name}": part for name, part in parts.items()}
    found["modules"] = SimpleNamespace(__path__=[], **parts)
    found["modules.sd_hijack"] = SimpleNamespace(model_hijack=SimpleNamespace())
    if isinstance(model, WebuiModel):
        found["modules.sd_hijack"].model_hijack = model.notes
    if isinstance(model, ForgeModel):
        found |= _forge_modules(model, parts["sd_models"])
    gradio = MagicMock(__version__="4.40.0" if isinstance(model, ForgeModel) else "3.41.2")
    gradio.SelectData = SimpleNamespace
    return {**found, "gradio": gradio}


def _forge_modules(model: ForgeModel, sd_models: Any) -> dict[str, Any]:
    def run(work: Callable[[], Any]) -> Any:
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(work()))
        thread.start()
        thread.join()
        return results[0]

    sd_models.forge_model_reload = lambda: model.prepared.append("reloaded")
    chosen = {"checkpoint_info": object()}
    sd_models.model_data = SimpleNamespace(forge_loading_parameters=chosen)
    thread = SimpleNamespace(run_and_wait_result=run)
    engine = "backend.text_processing.classic_engine"
    return {"modules_forge": SimpleNamespace(main_thread=thread, __path__=[]), engine: model.notes}


def load_script() -> Any:
    """As the hosts load it: by path, with the extension's folder on sys.path only meanwhile."""
    path = ROOT / "scripts" / "refdiff_webui.py"
    spec = importlib.util.spec_from_file_location("refdiff_webui.py", path)
    script = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    sys.path.insert(0, str(ROOT))
    try:
        spec.loader.exec_module(script)
    finally:
        sys.path[:] = before
    return script


@contextlib.contextmanager
def hosted(model: Model | None, folder: Path) -> Iterator[SimpleNamespace]:
    """Our script and the stand-ins around it."""
    found, kept = modules_of(model, folder), dict(sys.modules)
    sys.modules.update(found)
    try:
        script = load_script()
        yield SimpleNamespace(
            script=script,
            attention=sys.modules["refdiff_webui.attention"],
            model=model,
            **vars(found["modules"]),
        )
    finally:
        for name in [*found, *(each for each in sys.modules if each.startswith("refdiff_webui"))]:
            sys.modules.pop(name, None)
        sys.modules.update({name: kept[name] for name in found if name in kept})
