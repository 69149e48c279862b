"""Other packs as they use a MODEL and a SAM_MODEL; run by `inside.py`.

Written after reading ComfyUI_IPAdapter_plus, Impact Pack and storyicon's segment_anything; none of
their code is here.
"""

from hosted import load, ours, picture, read, sample  # isort: skip - finds ComfyUI

import dataclasses

import comfy.model_management as management
import folder_paths
import numpy as np
import torch
from comfy.ldm.modules.attention import optimized_attention
from segment_anything import SamPredictor


def patched(_=None):
    """Maps with other packs' patches present: they do their work and nothing is lost."""
    model, clip, vae = load("demo")
    lines, plain = read((model, clip, vae))
    seen = []

    def attn2(q, k, v, extra):
        seen.append("attn2")
        return ours("nodes._recording")._attend(q, k, v, extra)

    def override(func, *args, **kwargs):
        seen.append("override")
        return func(*args, **kwargs)

    other = model.clone()
    for layer in (("input", 4), ("output", 1)):
        other.set_model_attn2_replace(attn2, *layer)
    other.model_options["transformer_options"]["optimized_attention_override"] = override
    other.set_model_attn2_patch(lambda n, context, value, extra: (n, context, value))
    _, found = read((other, clip, vae))
    difference = max(
        float((a.heat - b.heat).abs().max()) for a, b in zip(plain, found, strict=True)
    )
    return {"difference": difference, "seen": sorted(set(seen))}


class ImageAdapter:
    """Does what IPAdapter's patch does: the layer's own attention, and more from a picture.

    Like the original it is no function, keeps tensors that ComfyUI moves by ``to``, works in a
    range of sigmas, and looks at what else ComfyUI tells a patch. What it saw is the class's own:
    ComfyUI 0.3.64 makes deep copies of patches that are objects.
    """

    blocks, moves, asked = [], [], []

    def __init__(self, weight):
        self.weight = weight
        self.tokens = torch.randn(4, 4096, generator=torch.Generator().manual_seed(0))

    def __call__(self, q, k, v, extra):
        out = optimized_attention(q, k, v, extra["n_heads"])
        if not 0 <= float(extra["sigmas"][0]) <= 20:
            return out
        rows = len(q) // len(extra["cond_or_uncond"]) * len(extra["cond_or_uncond"])
        seen = self.tokens[:, : k.shape[-1]].to(q).expand(rows, -1, -1)
        self.blocks.append((extra["block"], extra["transformer_index"], *extra["original_shape"]))
        return (out + self.weight * optimized_attention(q, seen, seen, extra["n_heads"])).to(q)

    def to(self, device, *args):
        self.moves.append(str(device))
        return self

    def models(self):
        self.asked.append(True)
        return []


def with_adapter(model, adapter):
    """A clone with the adapter at every block, put there as IPAdapter does it for SD 1.x."""
    unet, layers_on = (
        model.get_model_object("diffusion_model"),
        ours("refdiff_core.backends.original_layout").transformers_on,
    )
    clone = model.clone()
    options = clone.model_options["transformer_options"].copy()
    replace = options["patches_replace"] = options.get("patches_replace", {}).copy()
    attn2 = replace["attn2"] = replace.get("attn2", {}).copy()
    for factor in (1, 2, 4, 8):
        # without the transformer's number: one patch for a whole block
        attn2 |= {layer[:2]: adapter for layer in layers_on(unet, factor)}
    clone.model_options["transformer_options"] = options
    return clone


def adapted(_=None):
    """With an image adapter: it works, its work counts, and sampling is left as it was."""
    model, clip, vae = load("demo")
    _, plain = read((model, clip, vae))
    found = {}
    for name, weight in (("idle", 0.0), ("busy", 0.5)):
        adapter = ImageAdapter(weight)
        checkpoint = with_adapter(model, adapter), clip, vae
        before = sample(checkpoint)
        for each in (adapter.blocks, adapter.moves, adapter.asked):
            each.clear()
        _, maps = read(checkpoint)
        found[name] = max(
            float((a.heat - b.heat).abs().max()) for a, b in zip(plain, maps, strict=True)
        )
        found["blocks"] = len(adapter.blocks)
        found["moved"] = "cpu" in adapter.moves and bool(adapter.asked)
        found["same picture"] = torch.equal(before, sample(checkpoint))
    return found


def storyicon(_=None):
    """A bare Sam with a name, as storyicon's loader gives; and ours used as its nodes use it."""
    run, models = ours("nodes._run"), ours("nodes._models")
    load_sam = ours("refdiff_core.demo.models").load_sam
    image, found = picture(), {}
    theirs = load_sam()
    theirs.model_name = "sam_vit_b_01ec64.pth"
    settings = ours("refdiff_core.backends.sam_proposer").DEMO
    proposed = run.propose(theirs, image, None, settings).sets[0][0]
    found["count"] = len(proposed)
    found["left"] = [theirs.model_name, hasattr(theirs, "sam_wrapper"), str(theirs.device)]

    mine = models.hold_sam(load_sam(), "sam_vit_b_01ec64.pth")
    management.unload_all_models()
    predictor = SamPredictor(mine)
    predictor.set_image((image[0].numpy() * 255).astype(np.uint8))
    boxes = ours("refdiff_core.seeing.proposals").mask_boxes(proposed.masks[:2]).float()
    boxes = predictor.transform.apply_boxes_torch(boxes, image.shape[1:3])
    device = management.get_torch_device()
    masks, *_ = predictor.predict_torch(None, None, boxes.to(device), multimask_output=False)
    found["masks"] = list(masks.shape)
    found["placed"] = mine.sam_wrapper.patcher in [
        each.model for each in management.current_loaded_models
    ]
    theirs.mask_decoder.hf_token = torch.nn.Embedding(1, 8)
    try:
        run.propose(theirs, image, None, settings)
    except ours("refdiff_core.errors").ModelError as error:
        found["high quality"] = "HQ-SAM" in str(error)
    return found


def interop(_=None):
    """SAM_MODEL and SEGS between our nodes and other packs' way of using them."""
    load_sam, image = ours("refdiff_core.demo.models").load_sam, picture()
    mine = ours("nodes._models").hold_sam(load_sam(), "somewhere/sam_vit_b_01ec64.pth")
    found = {"model_name": mine.model_name, "impact": _as_others_ask(mine, image)}
    # few of the demo's masks pass a real one's limits
    limits, run = {"min_predicted_iou": 0.7, "min_stability": 0.8}, ours("nodes._run")
    settings = dataclasses.replace(run.own_settings(mine), **limits)
    own = run.propose(mine, image, None, settings)
    foreign = load_sam()  # a bare Sam from another pack's loader
    other = run.propose(foreign, image.clone(), None, settings)
    found["foreign"] = bool((own.sets[0][0].masks == other.sets[0][0].masks).all())
    found["count"] = len(own.sets[0][0])
    try:
        run.propose(object(), image, None, settings)
    except ours("refdiff_core.errors").ModelError as error:
        found["refused"] = "not a Segment Anything model" in str(error)

    held = [each.model is mine.sam_wrapper.patcher for each in management.current_loaded_models]
    management.unload_all_models()
    found["held, freed"] = [any(held), not management.current_loaded_models]
    return found | _as_segs(own, image) | _folders()


def _as_others_ask(mine, image):
    """Our SAM_MODEL asked as other packs do: how many masks, and whether they agree."""
    pixels = (image[0].numpy() * 255).astype("uint8")
    predictor = SamPredictor(mine)  # as storyicon's nodes do
    predictor.set_image(pixels)
    masks, _, _ = predictor.predict(
        point_coords=np.array([[80, 48]]),
        point_labels=np.array([1]),
    )
    mine.sam_wrapper.prepare_device()  # as Impact Pack's do
    wrapped = mine.sam_wrapper.predict(pixels, [[80, 48]], [1], None, 0.0)
    strict = mine.sam_wrapper.predict(pixels, None, None, [60, 30, 100, 70], 2.0)
    mine.sam_wrapper.release_device()
    return [len(wrapped), len(strict), bool((masks[0] == wrapped[0]).all())]


def _as_segs(own, image):
    """Our masks as SEGS and back."""
    run, host = ours("nodes._run"), ours("nodes._host")
    masks = own.sets[0][0].masks
    # not the ground they lie on
    thing = (masks.flatten(1).float().mean(1) - 0.05).abs().argmin()
    attention = run.AttentionBatch.of_masks(masks[thing][None].float(), [image[0]], None)
    batch = run.fuse_batch(attention, own, None, None, ours("refdiff_core.settings").Settings())
    segs = host.to_segs(batch, host.segs_of(batch, host.draw(batch)))
    back = host.proposals(segs).sets[0][0].masks
    return {
        "segs": [type(segs[1][0]).__name__, list(segs[0]), sorted(segs[1][0]._fields)],
        "round trip": bool((back[0] == (batch.results[0].mask >= 0.5)).all()),
    }


def _folders():
    """Another pack's folder for SAM files stays the first."""
    folder_paths.folder_names_and_paths["sams"] = (["/elsewhere/sams"], {".pth"})
    ours("nodes._models").register_folders()
    places, suffixes = folder_paths.folder_names_and_paths["sams"]
    return {"sams": [places[0] == "/elsewhere/sams", len(places), sorted(suffixes)]}
