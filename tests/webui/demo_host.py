"""A test extension: lets a WebUI hold the demo checkpoint, and gives out what words' maps are.

The checkpoint is smaller than any that the hosts know.
"""

import os

import gradio as gr
from modules import processing, script_callbacks, scripts, shared


def fit(model):
    """Tell the host how much smaller latents are: the demo's autoencoder halves twice."""
    processing.opt_f = 4 if "refdiff_demo" in model.sd_checkpoint_info.name else 8


script_callbacks.on_model_loaded(fit)

try:
    from huggingface_guess import model_list
except ImportError:  # AUTOMATIC1111's goes by the configuration beside the file
    pass
else:

    class RefDiffDemo(model_list.SD15):
        huggingface_repo = os.environ["REFDIFF_DEMO_CONFIGS"]
        unet_config = {
            "context_dim": 64,
            "model_channels": 32,
            "use_linear_in_transformer": False,
        }
        unet_extra_config = {"num_heads": 4, "num_head_channels": -1}

        def model_type(self, *_args, **_kwargs):
            return model_list.ModelType.V_PREDICTION

    model_list.models.append(RefDiffDemo)


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
