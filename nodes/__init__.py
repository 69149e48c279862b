"""The node list. Only this folder imports ComfyUI; the method itself is in `refdiff_core`."""

from comfy_api.latest import ComfyExtension, io

from ._errors import name_errors
from ._models import register_folders
from .attention import RefDiffAttention
from .cutout import RefDiffCutOut
from .fuse import RefDiffFuseMasks
from .load import RefDiffLoadCLIP, RefDiffLoadDemo, RefDiffLoadSAM
from .pick import RefDiffPick
from .proposals import RefDiffSAMProposals
from .score import RefDiffCLIPScore
from .segment import RefDiffSegment

NODES: list[type[io.ComfyNode]] = [
    RefDiffSegment,
    RefDiffAttention,
    RefDiffSAMProposals,
    RefDiffCLIPScore,
    RefDiffFuseMasks,
    RefDiffPick,
    RefDiffCutOut,
    RefDiffLoadDemo,
    RefDiffLoadSAM,
    RefDiffLoadCLIP,
]


# not in on_load, which 0.3.64 does not call
name_errors()


class RefDiffExtension(ComfyExtension):
    """All nodes, as ComfyUI asks for them."""

    async def on_load(self) -> None:
        register_folders()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES
