"""A test extension: lets a WebUI hold the demo checkpoint, which is smaller than any it knows."""

import os

from modules import processing

processing.opt_f = 4  # the demo's autoencoder halves twice

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
