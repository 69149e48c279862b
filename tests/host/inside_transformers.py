"""Transformers in ComfyUI's own process: the demo's, and tiny random ones of the real classes.

    python inside_transformers.py COMFYUI CHECK [ARGUMENT]

Prints one line of JSON.
"""

from hosted import CHECK, REST, load, ours, picture, read, sample  # isort: skip - finds ComfyUI

import dataclasses
import json
import sys
from contextlib import ExitStack
from importlib import import_module
from types import SimpleNamespace
from unittest import mock

import comfy.model_management as management
import comfy.utils
import torch
from tiny_pack import checkpoints as tiny
from tiny_pack.packed import Operations
from tiny_pack.packed import packed as pack_all


def chooses(count="60"):
    """How often the demo transformer's map chooses the right one of the true masks."""
    right = [each for _, each in _choices(load("demo transformer"), int(count))]
    return {"share": sum(right) / len(right), "count": len(right)}


def packed(count):
    """As `chooses`, of weights of 8 bits; and how far its maps are from those of the plain ones."""
    pair = [_choices(each, int(count)) for each in (_packed_demo(), load("demo transformer"))]
    apart = [float((a - b).abs().max()) for (a, _), (b, _) in zip(*pair, strict=True)]
    right = [each for _, each in pair[0]]
    kinds = {str(each.dtype) for each in _packed_demo()[0].model.diffusion_model.parameters()}
    return {
        "share": sum(right) / len(right), "count": len(right),
        "apart": max(apart), "weights": sorted(kinds),
    }  # fmt: skip


def _packed_demo():
    """The demo transformer built with layers that unpack their weights when they are called."""
    demo, models = ours("nodes._demo"), ours("refdiff_core.demo.models")
    config = demo.DemoTransformer(demo.transformer_config())
    config.custom_operations = Operations
    state = comfy.utils.load_torch_file(str(models.TRANSFORMER_FILE))
    return demo._model(pack_all(state), config), *load("demo transformer")[1:]


def _choices(checkpoint, count):
    """Each expression's heat, and whether it chooses the right one of the scene's true masks."""
    scenes = ours("refdiff_core.demo.scenes")
    score = ours("refdiff_core.choosing.scoring").generative_score
    found = []
    for number in range(count):
        scene = scenes.sample_scene(scenes.HELD_OUT_SEED + number)
        colors = [item.color for item in scene.objects]
        asked = [
            each
            for each in scenes.expressions(scene)
            if each.kind == "attribute" and colors.count(colors[each.target]) == 1
        ]
        if not asked:
            continue
        image = torch.from_numpy(scene.image)[None].float() / 255
        _, maps = read(checkpoint, "\n".join(each.text for each in asked), image)
        masks = torch.from_numpy(scene.masks)
        for each, read_map in zip(asked, maps, strict=True):
            chosen = int(score(read_map.heat, masks).argmax())
            found.append((read_map.heat, chosen == each.target))
    return found


def demo():
    """Maps of the demo transformer in both hosts, and the model before and after."""
    checkpoint, settings = load("demo transformer"), ours("refdiff_core.settings")
    reader = ours("refdiff_core.backends.transformers_attention").TransformersAttention
    model = ours("refdiff_core.backends.pipelines").load_demo_transformer()
    before, apart = sample(checkpoint), {}
    for reading in ("all", "text", "output"):
        lines, host = read(checkpoint, reading=reading)
        own = reader(model, settings.AttentionSettings(reading=reading)).read(picture()[0], lines)
        apart[reading] = max(
            float((a.heat - b.heat).abs().max()) for a, b in zip(host, own, strict=True)
        )
    capture = ours("nodes._transformers").Capture

    class Broken(capture):
        def keep(self, *args, **kwargs):
            raise management.InterruptProcessingException

    ours("nodes._transformers").Capture = Broken
    try:
        read(checkpoint)
        stopped = False
    except management.InterruptProcessingException:
        stopped = True
    ours("nodes._transformers").Capture = capture
    return {"readings": apart, "traces": stopped and torch.equal(before, sample(checkpoint))}


def sums(family):
    """Calls in a pass: ComfyUI's own attention, another pack's, the words' second one; and maps."""
    attention = import_module("comfy.ldm.modules.attention")
    joint = ours("refdiff_core.seeing.joint")
    checkpoint, found, maps = tiny.load(family), {}, {}

    def under(override):
        model = checkpoint[0].clone()
        model.model_options["transformer_options"]["optimized_attention_override"] = override
        return model

    passing = under(lambda func, *args, **kw: func(*args, **kw))
    attending = under(lambda func, *args, **kw: attention.attention_sub_quad(*args, **kw))
    counted = ((attention, "efficient_dot_product_attention"), (joint, "attention_over_all"))
    models = {"alone": checkpoint[0], "passing": passing, "attending": attending}
    for name, model in models.items():
        with ExitStack() as patched:
            calls = [
                patched.enter_context(mock.patch.object(*each, wraps=getattr(*each)))
                for each in counted
            ]
            asked = {"reading": "all", "resolution": 128}
            maps[name] = read((model, *checkpoint[1:]), "the red circle", **asked)[1][0].word_maps
        found[name] = [each.call_count for each in calls]
    apart = float((maps["alone"] - maps["attending"]).abs().max() / maps["attending"].abs().max())
    same = bool(torch.equal(maps["alone"], maps["passing"]))
    return {**found, "apart": apart, "same": same}


def kinds():
    """What comes of every class in ComfyUI's list: a family, tried small or a U-Net's; or words."""
    import comfy.supported_models as supported
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    tried = {each.config for each in tiny.FAMILIES.values()}
    found = {}
    for kind in supported.models:
        config, unet = object.__new__(kind), "model_channels" in kind.unet_config
        config.unet_config = kind.unet_config
        network = object.__new__(UNetModel) if unet else torch.nn.Identity()
        model = SimpleNamespace(
            model=SimpleNamespace(model_config=config, model_type=None),
            get_model_object=lambda _name, network=network: network,
        )
        above = [each.__name__ for each in supported.models if issubclass(each, kind)]
        try:
            _source(model, None, None)
            found[kind.__name__] = "U-Net" if unet else "tried" if tried & {*above} else "untried"
        except ours("refdiff_core.errors").RefDiffError as error:
            found[kind.__name__] = str(error)
    return found


CONFIGS = {
    "sd3.5-medium": (
        "SD3", comfy.utils.mmdit_to_diffusers,
        {
            "sample_size": 24, "patch_size": 2, "in_channels": 16, "out_channels": 16,
            "num_layers": 2, "attention_head_dim": 64, "num_attention_heads": 2,
            "joint_attention_dim": 64, "caption_projection_dim": 128,
            "pooled_projection_dim": 2048, "pos_embed_max_size": 24, "qk_norm": "rms_norm",
            "dual_attention_layers": (0,),
        },
    ),
    "flux": (
        "Flux", comfy.utils.flux_to_diffusers,
        {
            "patch_size": 1, "in_channels": 64, "num_layers": 2, "num_single_layers": 2,
            "attention_head_dim": 16, "num_attention_heads": 4, "joint_attention_dim": 64,
            "pooled_projection_dim": 32, "guidance_embeds": True, "axes_dims_rope": (4, 6, 6),
        },
    ),
    "z-image": (
        "ZImage", getattr(comfy.utils, "z_image_to_diffusers", None),
        {
            "all_patch_size": (2,), "all_f_patch_size": (1,), "in_channels": 16, "dim": 1152,
            "n_layers": 2, "n_refiner_layers": 1, "n_heads": 12, "n_kv_heads": 12,
            "cap_feat_dim": 64, "axes_dims": [32, 32, 32], "axes_lens": [1536, 512, 512],
        },
    ),
}  # fmt: skip

# what both libraries' tables of names take for granted
CHANGES = {
    "sd3.5-medium": {"num_blocks": 2, "x_block_self_attn_layers": [0]},
    "flux": {"mlp_ratio": 4.0},
    "z-image": {
        "dim": 1152, "n_layers": 2, "n_refiner_layers": 1, "n_heads": 12, "n_kv_heads": 12,
        "axes_dims": [32, 32, 32], "ffn_dim_multiplier": 8 / 3,
    },
}  # fmt: skip


def same(family):
    """How far the maps of ComfyUI and of diffusers lie apart, of the same random weights."""
    pipelines = ours("refdiff_core.backends.pipelines")
    reader = ours("refdiff_core.backends.transformers_attention").TransformersAttention
    settings = ours("refdiff_core.settings").AttentionSettings
    entry = tiny.FAMILIES[family]
    network = {**entry.network, **CHANGES[family]}
    tiny.FAMILIES[family] = dataclasses.replace(entry, network=network)
    model, clip, vae = tiny.load(family)
    pipeline = _pipeline(family, model, network)
    kind = pipelines.PIPELINES[type(pipeline.transformer).__name__]

    class Told(pipelines.PipelineModel):
        """The pipeline with ComfyUI's text and latents, so that weights alone are compared."""

        def place(self, text):
            return _source(model, clip, vae)._encode_text(_line(text)).placed

        def said(self, text):
            found = clip.encode_from_tokens(clip.tokenize(text))
            given = {"prompt_embeds": found["cond"]}
            if found["pooled_output"] is not None:
                given["pooled_prompt_embeds"] = found["pooled_output"]
            return {"prompt_embeds": [found["cond"][0]]} if family == "z-image" else given

        def encode(self, pixels):
            return model.get_model_object("latent_format").process_in(
                vae.encode(pixels.movedim(1, -1))
            )

    found = {}
    for reading in ("all", "text", "output"):
        asked = {"resolution": 128, "reading": reading}
        lines, host = read((model, clip, vae), "the red circle\na cat left of it", **asked)
        own = reader(Told(pipeline, kind), settings(**asked)).read(picture()[0], lines)
        found[reading] = max(
            float((a.word_maps - b.word_maps).abs().max() / b.word_maps.abs().max())
            for a, b in zip(host, own, strict=True)
        )
    return found


def weights(path, packing=""):
    """Write the tiny SD 3's denoiser as a file, such as ComfyUI's own loader takes."""
    from safetensors.torch import save_file

    whole = {**tiny.FAMILIES["sd3"].network, "depth": 2, "num_blocks": 2}
    tiny.FAMILIES["sd3"] = dataclasses.replace(tiny.FAMILIES["sd3"], network=whole)
    state = tiny.load("sd3")[0].model.diffusion_model.state_dict()
    state = pack_all(state) if packing else state
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return len(state)


def _source(model, clip, vae):
    settings = ours("refdiff_core.settings").AttentionSettings()
    return ours("nodes._attention").attention_source(model, clip, vae, settings)


def _line(text):
    return ours("nodes._prompt").read_line(text)


def _pipeline(family, model, network):
    """diffusers' pipeline around a transformer with the weights of ComfyUI's."""
    import diffusers

    name, names, config = CONFIGS[family]
    transformer = getattr(diffusers, f"{name}Transformer2DModel")(**config).eval()
    shared = names(network)
    theirs, weights = model.model.diffusion_model.state_dict(), {}
    for key in transformer.state_dict():
        told = shared[key]
        where, part, *change = (told, None) if isinstance(told, str) else (*told, None)[:3]
        value = theirs[where] if part is None else theirs[where].narrow(*part)
        weights[key] = change[0](value) if change and change[0] else value
    transformer.load_state_dict(weights)
    kind = {"SD3": "StableDiffusion3Pipeline"}.get(name, f"{name}Pipeline")
    parts = {"transformer": transformer, "vae": None, "scheduler": None}
    parts |= dict.fromkeys(("text_encoder", "tokenizer"))
    for number in {"SD3": (2, 3), "Flux": (2,)}.get(name, ()):
        parts |= dict.fromkeys((f"text_encoder_{number}", f"tokenizer_{number}"))
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    return getattr(diffusers, kind)(**{**parts, "scheduler": scheduler})


if __name__ == "__main__":
    with torch.inference_mode():
        sys.stdout.write(json.dumps(globals()[CHECK](*REST)) + "\n")
