"""A test extension: lets a WebUI hold the demo checkpoint, and gives out what words' maps are.

The checkpoint is smaller than any that the hosts know.
"""

import json
import os
from functools import partial
from importlib.util import find_spec

import gradio as gr
import torch
from modules import processing, script_callbacks, scripts, shared


def fit(model):
    """Tell the host how much smaller latents are: the demo's autoencoder halves twice."""
    processing.opt_f = 4 if "demo" in model.sd_checkpoint_info.name else 8


script_callbacks.on_model_loaded(fit)

configs = os.environ["REFDIFF_DEMO_CONFIGS"]
DEMO = {"context_dim": 64, "model_channels": 32, "use_linear_in_transformer": False}
HEADS = {"num_heads": 4, "num_head_channels": -1}
SMALL_XL = {"transformer_depth": [0, 0, 1, 1, 2, 2], "channel_mult": [1, 1, 1]}
SMALL_SD2 = {"channel_mult": [1, 1, 1, 1]}


def admit_to_webui():
    """AUTOMATIC1111's goes by the configuration beside the file."""
    import open_clip

    open_clip.add_model_config(os.path.join(configs, "open_clip"))


def admit_to_forge():
    from huggingface_guess import model_list

    class RefDiffDemo(model_list.SD15):
        huggingface_repo = configs
        unet_config, unet_extra_config = DEMO, HEADS

        def model_type(self, *_args, **_kwargs):
            return model_list.ModelType.V_PREDICTION

    class RefDiffInpainting(RefDiffDemo):
        unet_config = {**DEMO, "in_channels": 9}

    class SmallXL(model_list.SDXL):
        huggingface_repo = os.path.join(configs, "small_xl")
        unet_config = {**model_list.SDXL.unet_config, **SMALL_XL}

    class SmallSD2(model_list.SD20):
        huggingface_repo = os.path.join(configs, "small_sd2")
        unet_config = {**model_list.SD20.unet_config, **SMALL_SD2}

    model_list.models[:0] = [RefDiffInpainting, RefDiffDemo, SmallXL, SmallSD2]


def config_of(*folder):
    with open(os.path.join(configs, *folder, "config.json")) as file:
        return json.load(file)


def text_encoder(*folder, more=0, **options):
    """reForge's own, as large as a configuration says."""
    from ldm_patched.modules import sd1_clip

    config = config_of(*folder)
    config["num_hidden_layers"] += more
    return partial(sd1_clip.SDClipModel, textmodel_json_config=config, **options)


def any_width(vae):
    """reForge's autoencoder as wide and as deep as its file, of which the host knows one."""

    def count(state, prefix):
        return next(n for n in range(99) if not any(k.startswith(prefix.format(n)) for k in state))

    class AnyWidth(vae):
        def __init__(self, sd, **options):
            wide, levels = sd["encoder.conv_in.weight"].shape[0], count(sd, "encoder.down.{}.")
            first = [sd[f"encoder.down.{each}.block.0.conv2.weight"] for each in range(levels)]
            ddconfig = {
                "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3,
                "out_ch": 3, "ch": wide, "ch_mult": [len(each) // wide for each in first],
                "num_res_blocks": count(sd, "encoder.down.0.block.{}."), "attn_resolutions": [],
                "dropout": 0.0,
            }  # fmt: skip
            config = {"params": {"ddconfig": ddconfig, "embed_dim": 4}}
            super().__init__(sd=sd, config=config, **options)

    return AnyWidth


def admit_to_reforge():
    """What is predicted is told by the configuration beside the file, as in AUTOMATIC1111's."""
    from ldm_patched.modules import latent_formats, sd1_clip, sdxl_clip, supported_models
    from ldm_patched.modules.supported_models_base import ClipTarget
    from ldm_patched.modules.text_encoders import sd2_clip
    from modules_forge import forge_loader

    penultimate = {"layer": "hidden", "layer_idx": -2}
    open_clips = {**penultimate, "special_tokens": {"start": 49406, "end": 49407, "pad": 0}}

    class SmallXLClip(sdxl_clip.SDXLClipModel):
        def __init__(self, **given):
            torch.nn.Module.__init__(self)
            bare = {"layer_norm_hidden_state": False, **given}
            self.clip_l = text_encoder("small_xl", "text_encoder", **penultimate)(**bare)
            self.clip_g = text_encoder("small_xl", "text_encoder_2", **open_clips)(**bare)
            self.dtypes = {given["dtype"]}

    class RefDiffDemo(supported_models.SD15):
        unet_config, unet_extra_config = DEMO, HEADS
        latent_format = partial(latent_formats.SD15, config_of("vae")["scaling_factor"])

        def clip_target(self, **_):
            own = text_encoder("text_encoder", return_projected_pooled=False)
            return ClipTarget(sd1_clip.SD1Tokenizer, partial(sd1_clip.SD1ClipModel, clip_model=own))

    class RefDiffInpainting(RefDiffDemo):
        unet_config = {**DEMO, "in_channels": 9}

    class SmallXL(supported_models.SDXL):
        unet_config = {**supported_models.SDXL.unet_config, **SMALL_XL}

        def clip_target(self, **_):
            return ClipTarget(sdxl_clip.SDXLTokenizer, SmallXLClip)

    class SmallSD2(supported_models.SD20):
        unet_config = {**supported_models.SD20.unet_config, **SMALL_SD2}

        def clip_target(self, **_):
            own = text_encoder("small_sd2", "text_encoder", more=1, **open_clips)
            model = partial(sd1_clip.SD1ClipModel, clip_name="h", clip_model=own)
            return ClipTarget(sd2_clip.SD2Tokenizer, model)

    forge_loader.VAE = any_width(forge_loader.VAE)
    supported_models.models[:0] = [RefDiffInpainting, RefDiffDemo, SmallXL, SmallSD2]


if find_spec("huggingface_guess"):
    admit_to_forge()
else:
    (admit_to_reforge if find_spec("ldm_patched") else admit_to_webui)()


class Map(scripts.Script):
    """Adds the map of some words to what a scripted call gives back."""

    def title(self):
        return "Ref-Diff map"

    def show(self, is_img2img):
        return scripts.AlwaysVisible if is_img2img else False

    def ui(self, is_img2img):
        return [gr.Textbox(visible=False)]

    def process(self, p, words):
        p.refdiff_map = read_map(p.init_images[0], words) if words else None

    def postprocess(self, p, processed, words):
        if words:
            processed.images.append(p.refdiff_map)


def read_map(image, words):
    from refdiff_core.backends.host_attention import HostAttention
    from refdiff_core.language.expression import parse
    from refdiff_core.pictures.images import from_pil, to_pil
    from refdiff_webui.attention import Webui

    (found,) = HostAttention(Webui(shared.sd_model)).read(from_pil(image), [parse(words)])
    return to_pil(found.heat)
