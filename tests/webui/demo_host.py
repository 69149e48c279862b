"""A test extension: lets a WebUI hold the demo checkpoint, and gives out what words' maps are.

The checkpoint is smaller than any that the hosts know.
"""

import os

import gradio as gr
from modules import processing, script_callbacks, scripts, shared


def fit(model):
    """Tell the host how much smaller latents are: the demo's autoencoder halves twice."""
    processing.opt_f = 4 if "demo" in model.sd_checkpoint_info.name else 8


script_callbacks.on_model_loaded(fit)

try:
    from huggingface_guess import model_list
except ImportError:  # AUTOMATIC1111's goes by the configuration beside the file
    import open_clip

    open_clip.add_model_config(os.path.join(os.environ["REFDIFF_DEMO_CONFIGS"], "open_clip"))
else:
    V_PREDICTION = model_list.ModelType.V_PREDICTION
    configs = os.environ["REFDIFF_DEMO_CONFIGS"]

    class RefDiffDemo(model_list.SD15):
        huggingface_repo = configs
        unet_config = {
            "context_dim": 64,
            "model_channels": 32,
            "use_linear_in_transformer": False,
        }
        unet_extra_config = {"num_heads": 4, "num_head_channels": -1}

        def model_type(self, *_args, **_kwargs):
            return V_PREDICTION

    class RefDiffInpainting(RefDiffDemo):
        unet_config = {**RefDiffDemo.unet_config, "in_channels": 9}

    class SmallXL(model_list.SDXL):
        huggingface_repo = os.path.join(configs, "small_xl")
        unet_config = {
            **model_list.SDXL.unet_config,
            "transformer_depth": [0, 0, 1, 1, 2, 2],
            "channel_mult": [1, 1, 1],
        }

    class SmallSD2(model_list.SD20):
        huggingface_repo = os.path.join(configs, "small_sd2")
        unet_config = {**model_list.SD20.unet_config, "channel_mult": [1, 1, 1, 1]}

    model_list.models[:0] = [RefDiffInpainting, RefDiffDemo, SmallXL, SmallSD2]


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
