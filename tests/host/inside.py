"""Run inside ComfyUI's own Python, without its server: what `test_same_answer.py` starts.

    python inside.py COMFYUI CHECK [ARGUMENT]

Prints one line of JSON.
"""

import dataclasses
import gc
import json
import sys

import inside_hand
import inside_odd
import inside_packs
import inside_patches
import inside_words
import torch
from hosted import CHECK, EXPRESSIONS, REST, load, ours, picture, read, sample


def agreement(path, resolution="0", taesd=""):
    """How far ComfyUI's maps and diffusers' lie apart; taesd: folder of one that encodes."""
    settings = {"resolution": int(resolution) or None}
    lines, host, kind = _host_maps(path, settings, taesd)
    source = _diffusers(path, ours("refdiff_core.settings").AttentionSettings(**settings), taesd)
    pairs = list(zip(host, source.read(picture()[0], lines), strict=True))
    return {
        "heat": max(float((a.heat - b.heat).abs().max()) for a, b in pairs),
        "words": max(
            float(((a.word_maps - b.word_maps).abs() / b.word_maps.abs().max()).max())
            for a, b in pairs
        ),
        "contrast": min(float(b.heat.max() - b.heat.min()) for _, b in pairs),
        "count": len(pairs),
        "family": source.model.family.name,
        "v_prediction": [kind == "V_PREDICTION", source.model.v_prediction],
    }


def several(_=None):
    """What a batch of three costs in passes, one by one and together, and how answers differ."""
    scenes, module = ours("refdiff_core.demo.scenes"), ours("refdiff_core.together")
    seeds = range(scenes.HELD_OUT_SEED + 20, scenes.HELD_OUT_SEED + 23)
    drawn = [scenes.sample_scene(seed, size_hw=(96, 160)) for seed in seeds]
    batch = torch.stack([torch.from_numpy(each.image).float() / 255 for each in drawn])
    asked = [scenes.expressions(each)[0] for each in drawn]
    found, masks, passes = {}, [], []
    for most in (1, 3):
        model, clip, vae, sam, scorer = ours("nodes.load").RefDiffLoadDemo.execute(0).result[:5]
        for part in (vae.first_stage_model.encoder, sam.image_encoder):
            part.register_forward_pre_hook(lambda _, args: passes.append(len(args[0])))
        module.pictures_at_once = lambda *_, most=most: most
        lines = ours("nodes._prompt").read_lines("\n".join(each.text for each in asked))
        run, preset = ours("nodes._run"), ours("refdiff_core.settings").DEFAULT
        results = run.segment_batch((model, clip, vae), batch, lines, sam, scorer, preset).results
        masks.append([each.mask > 0.5 for each in results[:: len(lines) + 1]])
        found[most] = sorted(passes)
        passes.clear()
    pairs = zip(drawn, asked, strict=True)
    truths = [torch.from_numpy(each.masks[said.target]) for each, said in pairs]
    found["same"] = [_iou(*pair) for pair in zip(*masks, strict=True)]
    found["right"] = [_iou(*pair) for pair in zip(masks[1], truths, strict=True)]
    return found


def _iou(one, other):
    return float((one & other).sum() / (one | other).sum())


def ways(_=None):
    """How far the maps of both hosts lie apart for each way of reading, and from the plain ones."""
    module, settings = (
        ours("refdiff_core.backends.diffusers_attention"),
        ours("refdiff_core.settings"),
    )
    file, checkpoint = ours("refdiff_core.demo.models").DENOISER_FILE, load("demo")
    text = f"{EXPRESSIONS}\nthe ring, not the red one\n" + "a very large blue square " * 20
    _, plain = read(checkpoint, text)
    found = {}
    for way in (
        {"sinks": settings.SINKS},
        {"propagation": 2},
        {"finest": True},
        {"competing": True},
    ):
        lines, host = read(checkpoint, text, **way)
        other = module.DiffusersAttention.load(file, settings.AttentionSettings(**way))
        alone = [other.read(picture()[0], [line])[0] for line in lines]
        pairs = [(a.heat - b.heat).abs().max() for a, b in zip(host, alone, strict=True)]
        moved = [(a.heat - b.heat).abs().max() for a, b in zip(host, plain, strict=True)]
        found[next(iter(way))] = [float(max(pairs)), float(max(moved))]
    return found


def _diffusers(path, settings, taesd=""):
    source = ours("refdiff_core.backends.diffusers_attention").DiffusersAttention
    if path == "demo":
        return source.load(ours("refdiff_core.demo.models").DENOISER_FILE, settings)
    load_file = ours("refdiff_core.backends.checkpoints").load_stable_diffusion
    model = widen(load_file(path, dtype=torch.float16))
    if taesd:
        load_tiny = ours("refdiff_core.backends.tiny_autoencoder").load_tiny_autoencoder
        file = f"{taesd}/taesd_encoder.safetensors"
        model = dataclasses.replace(model, vae=load_tiny(file, model))
    return source(model, settings)


def widen(model):
    """Compute in float32; the denoiser's weights stay as the file has them, for SDXL's sake."""
    for encoder in model.text_encoders:
        encoder.float()
    for part in model.unet.modules():
        if isinstance(part, (torch.nn.GroupNorm, torch.nn.LayerNorm)):
            part.float()
    casting = {"storage_dtype": torch.float16, "compute_dtype": torch.float32}
    model.unet.enable_layerwise_casting(**casting, skip_modules_pattern=())
    return model


def _host_maps(path, settings, taesd):
    """Expressions, their maps, and what the model predicts; nothing stays in memory."""
    import comfy.model_management

    checkpoint = load(path)
    if taesd:
        import folder_paths

        import nodes

        folder_paths.add_model_folder_path("vae_approx", taesd)
        checkpoint = (*checkpoint[:2], *nodes.VAELoader().load_vae("taesd"))
    lines, maps = read(checkpoint, **settings)
    kind = checkpoint[0].model.model_type.name
    del checkpoint
    comfy.model_management.unload_all_models()
    gc.collect()
    return lines, maps, kind


def sam3_file(path):
    """A random checkpoint of SAM 3 in its own layout, by ComfyUI's own classes."""
    import comfy.ops
    from checkpoints import open_clip_layout, random_weights
    from comfy.ldm.sam3.detector import SAM3Model
    from comfy.text_encoders.sam3_clip import SAM3_CLIP_CONFIG
    from safetensors.torch import save_file
    from transformers import CLIPTextConfig, CLIPTextModel

    half, kind = torch.float16, {"image_model": "SAM3", "operations": comfy.ops.disable_weight_init}
    state = random_weights(lambda: SAM3Model(dtype=half, **kind), half)
    config = CLIPTextConfig(**SAM3_CLIP_CONFIG)
    text = random_weights(lambda: CLIPTextModel(config), half)
    bare = {key.removeprefix("text_model."): value for key, value in text.items()}
    prefix = "detector.backbone.language_backbone.encoder."
    state |= {prefix + key: value for key, value in open_clip_layout(bare).items()}
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    model, clip, _ = load(path)
    return [
        type(each.model if each is model else each.tokenizer).__name__ for each in (model, clip)
    ]


def latents(path):
    """How far the two autoencoders' latents lie apart, relative to their size."""
    _, _, vae = load(path)
    image = picture()
    host = vae.encode(image)
    module = ours("refdiff_core.backends.diffusers_attention")
    file = ours("refdiff_core.demo.models").DENOISER_FILE if path == "demo" else path
    model = ours("refdiff_core.backends.checkpoints").load_stable_diffusion(file)
    own = (
        module.DiffusersAttention(model).encode_picture(image[0]) / model.vae.config.scaling_factor
    )
    return {"difference": float((host - own).abs().max()), "largest": float(own.abs().max())}


def traces(path="demo"):
    """Whether the same picture is made before and after, also after an error and a stop."""
    import comfy.model_management as management

    checkpoint = load(path)
    before = sample(checkpoint)
    options = repr(checkpoint[0].model_options)
    same = {}
    read(checkpoint)
    same["read"] = torch.equal(before, sample(checkpoint))

    attention = ours("nodes._attention")
    capture = attention.Capture
    for name, error in (("error", RuntimeError), ("stop", management.InterruptProcessingException)):

        class Broken(capture):
            def record(self, *args, error=error, **kwargs):
                raise error

        attention.Capture = Broken
        try:
            read(checkpoint)
            same[name] = False
        except error:
            same[name] = True
        attention.Capture = capture
        same[name] &= torch.equal(before, sample(checkpoint))
    same["options"] = options == repr(checkpoint[0].model_options)
    return same


def once(_=None):
    """How often a picture is encoded, embedded and asked about as a whole, over several runs."""
    run, settings = ours("nodes._run"), ours("refdiff_core.settings")
    read_lines = ours("nodes._prompt").read_lines
    model, clip, vae = load("demo")
    sam = ours("nodes._models").hold_sam(ours("refdiff_core.demo.models").load_sam(), "demo")
    counts = {"vae": 0, "sam": 0, "grid": 0}

    def counting(name, inner):
        def call(*args, **kwargs):
            prompts = kwargs.get("sparse_prompt_embeddings")
            counts[name] += prompts is None or len(prompts) == 8 * 8  # not the map's few peaks
            return inner(*args, **kwargs)

        return call

    vae.encode = counting("vae", vae.encode)
    sam.image_encoder.forward = counting("sam", sam.image_encoder.forward)
    sam.mask_decoder.forward = counting("grid", sam.mask_decoder.forward)
    image, found = picture(), []

    def look(text):
        asked = settings.AttentionSettings()
        seen = run.read_attention((model, clip, vae), image, read_lines(text), asked, 0)
        run.propose(sam, image, seen, run.own_settings(sam))
        found.append(list(counts.values()))

    look("the red circle")
    look("the blue square\nthe star")
    image = picture((96, 96))  # the user loads another one
    look("the blue square")
    image[:] = image.flip(2)  # a node that changes its input in place
    look("the blue square")
    return found


def shaping(_=None):
    """How often any model is called as Segment runs again with another shape, words, picture."""
    node = ours("nodes.segment").RefDiffSegment
    model, clip, vae = load("demo")
    sam = ours("nodes._models").hold_sam(ours("refdiff_core.demo.models").load_sam(), "demo")
    scorer = ours("refdiff_core.backends.clip_scorer").ClipModel
    held = ours("nodes._models").hold_clip(scorer(*ours("refdiff_core.demo.models").load_clip()))
    counts = {"unet": 0, "vae": 0, "text": 0, "sam": 0, "grid": 0, "clip": 0}

    def count(owner, method, name):
        inner = getattr(owner, method)

        def call(*args, **kwargs):
            counts[name] += 1
            return inner(*args, **kwargs)

        setattr(owner, method, call)

    count(model.model.diffusion_model, "forward", "unet")
    count(vae, "encode", "vae")
    count(clip, "encode_from_tokens", "text")
    count(sam.image_encoder, "forward", "sam")
    count(sam.mask_decoder, "forward", "grid")
    count(held.clip.model, "encode_image", "clip")
    count(held.clip.model.transformer, "forward", "clip")
    look = {"timestep": -1, "resolution": 0, "seed": 0, "words": "content"}

    def once(text="the red circle", **changed):
        before, image = dict(counts), changed.pop("image", picture())
        inputs = {**look, "sam_model": sam, "refdiff_clip": held, **changed}
        node.execute(model, clip, vae, image, text, **inputs)
        return {name: counts[name] - before[name] for name in counts}

    found = {"first": once()}
    changes = {
        "grow": 5, "feather": 4, "fill": True, "invert": True, "union": 2, "alpha": 0.5,
        "threshold": 0.5,
    }  # fmt: skip
    for name, value in changes.items():
        found[name] = once(**{name: value})
    found["words"] = once("the blue square")
    found["picture"] = once(image=picture((96, 96)))
    return found


def lora(_=None):
    """A patch of the weights changes the map and is gone when the plain model is used again."""
    model, clip, vae = load("demo")
    _, plain = read((model, clip, vae))
    patched = model.clone()
    generator = torch.Generator().manual_seed(0)
    weights = model.model.state_dict()
    keys = [key for key in weights if key.endswith("attn2.to_q.weight")]
    noise = {key: torch.randn(weights[key].shape, generator=generator) * 0.3 for key in keys}
    patched.add_patches({key: ("diff", (value,)) for key, value in noise.items()}, 1.0)
    _, other = read((patched, clip, vae))
    _, again = read((model, clip, vae))
    return {
        "changed": float((plain[0].heat - other[0].heat).abs().max()),
        "left": float((plain[0].heat - again[0].heat).abs().max()),
    }


def precision(_=None):
    """The map's place in whatever precision the host was started with (COMFYUI_FLAGS)."""
    checkpoint = load("demo")
    _, maps = read(checkpoint)
    heat = maps[0].heat
    other = ours("refdiff_core.backends.diffusers_attention").DiffusersAttention
    lines = ours("nodes._prompt").read_lines(EXPRESSIONS)
    wanted = other.load(ours("refdiff_core.demo.models").DENOISER_FILE).read(picture()[0], lines)
    pair = torch.stack([heat.flatten(), wanted[0].heat.flatten()])
    dtype = str(checkpoint[0].model_dtype())
    return {"dtype": dtype, "correlation": float(torch.corrcoef(pair)[0, 1])}


def shapes(_=None):
    """Grids of as many places as the text has tokens, many expressions, odd pictures."""
    checkpoint = load("demo")
    found = {}
    for name, size_hw, text in (
        ("77 places", (56, 88), "the red circle"),
        ("strip", (16, 400), "the red circle"),
        ("tiny", (1, 1), "circle"),
        ("forty", (96, 96), "\n".join(f"the red circle number {n}" for n in range(40))),
        ("long", (96, 96), "a blue square " * 60 + "and the red [circle]"),
    ):
        image = torch.rand(1, *size_hw, 3, generator=torch.Generator().manual_seed(0))
        _, maps = read(checkpoint, text, image)
        found[name] = [len(maps), list(maps[0].heat.shape), list(maps[0].word_maps.shape[-2:])]
    return found


with torch.inference_mode():
    others = inside_hand, inside_odd, inside_packs, inside_patches, inside_words
    places = (sys.modules[__name__], *others)
    check = next(getattr(each, CHECK) for each in places if hasattr(each, CHECK))
    sys.stdout.write(json.dumps(check(*REST)) + "\n")
