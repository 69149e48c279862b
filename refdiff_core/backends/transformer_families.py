"""Transformer checkpoints as data: where each keeps its words, and where they are best read.

Lengths and places were measured on random models of the hosts' own classes (tests/host). Which
block, noise and reading localise best is what the literature says, as far as it says anything;
nothing here has been judged on trained weights but the demo's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

JOINT, CROSS = "joint", "cross"


@dataclass(frozen=True)
class Transformer:
    """What all checkpoints of one kind share.

    stack: name of the host's list of blocks that are read; its first block is the first whose
        attention holds text and picture.
    blocks: which of them to read, where the model has ``of``; others are read at the same share.
    kind: "joint", text and picture in one sequence; "cross", the picture asks the text.
    asks: how often a block's places ask the text; what is read is the last time.
    image_first: the picture stands before the text.
    before: tokens before both. pad: text and picture are each filled up to multiples of this.
    fill_left: texts are filled up to this length at their start. fill_right: at their end.
    reference: clean pictures stand "after" the picture or "before" it; "" where there are none.
    tokens: which of the host's token lists make up the text, in this order; () for the first that
        is not CLIP's.
    timestep: where attention is read, as for `Family`: flow models mix timestep / 1000 of noise.
    reading: how words and places are compared; see `JointReader`.
    cell: pixels a place. multiple: sides of a picture are brought to multiples of this.
    resolution: side of the square that the model was trained at. longest: of a side, in pixels.
    one_by_one: expressions do not share a pass.
    inpainting: variants exist that are also shown a mask and the masked picture.
    attention: name of a block's attention module, where the host hands it no options and it is
        read through a patch of its own; "" for all that are seen by the override.
    """

    name: str
    stack: str
    blocks: tuple[int, ...]
    of: int
    kind: str = JOINT
    asks: int = 1
    image_first: bool = False
    before: int = 0
    pad: int = 1
    fill_left: int = 0
    fill_right: int = 0
    reference: str = ""
    tokens: tuple[str, ...] = ()
    timestep: int = 250
    reading: str = "text"
    cell: int = 16
    multiple: int = 64
    resolution: int = 1024
    longest: int | None = None
    one_by_one: bool = False
    inpainting: bool = False
    attention: str = ""

    def blocks_of(self, depth: int) -> tuple[int, ...]:
        """Which blocks to read of a model that has so many."""
        return tuple(sorted({min(depth - 1, block * depth // self.of) for block in self.blocks}))

    def filled(self, count: int) -> int:
        """How many places or tokens stand in the sequence for so many."""
        return -(-count // self.pad) * self.pad


# Seg4Diff (arXiv 2509.18096, its code): SD 3 medium, block 9 of 24, all keys, sigma .515.
SD3 = Transformer(
    "Stable Diffusion 3",
    stack="joint_blocks",
    blocks=(9,),
    of=24,
    tokens=("l", "t5xxl"),
    timestep=500,
    reading="all",
    longest=192 * 16,
)
DEMO_TRANSFORMER = Transformer(
    "the bundled demo transformer",
    stack="joint_blocks",
    blocks=(1, 2, 3),
    of=4,
    timestep=500,
    reading="all",
    cell=8,
    multiple=16,
    resolution=128,
    longest=48 * 8,
)
# Blocks and noise: ConceptAttention (arXiv 2502.04320, its code), double blocks 14 to 17 of 19,
# real pictures at .25 (benchmarks) or .5 (demo). Its concepts are tokens beside the prompt that no
# other token sees; here the prompt's own are read, so by attention: softmax over the text's tokens,
# as RefAM (arXiv 2509.22650) reads transformers for referring expressions.
FLUX = Transformer(
    "Flux.1",
    stack="double_blocks",
    blocks=(14, 15, 16, 17),
    of=19,
    reference="after",
    inpainting=True,
)
CHROMA = Transformer("Chroma", stack="double_blocks", blocks=(14, 15, 16, 17), of=19)
# Flux.1's layout, 512 tokens of text always; nothing was found on where to read it.
LONGCAT = replace(FLUX, name="LongCat-Image", inpainting=False)
# ConceptAttention, as above: double blocks 5 to 7 of 8.
FLUX2 = Transformer(
    "Flux.2",
    stack="double_blocks",
    blocks=(5, 6, 7),
    of=8,
    fill_left=512,
    reference="after",
)
# FreeFuse (arXiv 2510.23515, its ComfyUI pack): block 20 of 60 in a fork; not its authors' own.
QWEN_IMAGE = Transformer(
    "Qwen-Image", stack="transformer_blocks", blocks=(20,), of=60, reference="after"
)
# FreeFuse: block 18 of 30. Padding is a sink here (rope2sink): it takes no part in "text".
Z_IMAGE = Transformer("Z-Image", stack="layers", blocks=(18,), of=30, pad=32, one_by_one=True)
LUMINA2 = Transformer("Lumina 2", stack="layers", blocks=(16,), of=26, one_by_one=True)
# Nothing was found on those below: the middle of the model, little noise.
AURA = Transformer("AuraFlow", stack="double_layers", blocks=(2,), of=4, before=8)
OMNIGEN2 = Transformer("OmniGen2", stack="layers", blocks=(16,), of=32, reference="before")
KREA2 = Transformer("Krea 2", stack="blocks", blocks=(16,), of=28)
HUNYUAN_IMAGE = Transformer(
    "HunyuanImage 2.1", stack="double_blocks", blocks=(10,), of=20, cell=32, resolution=2048
)
HIDREAM = Transformer(
    "HiDream-I1",
    stack="double_stream_blocks",
    blocks=(8,),
    of=16,
    image_first=True,
    tokens=("t5xxl",),
    one_by_one=True,
)
COSMOS_PREDICT2 = Transformer(
    "Cosmos-Predict2", stack="blocks", blocks=(14,), of=28, kind=CROSS, resolution=1024
)
ANIMA = Transformer(
    "Anima",
    stack="blocks",
    blocks=(14,),
    of=28,
    kind=CROSS,
    fill_right=512,
    tokens=("t5xxl",),
    one_by_one=True,
)
PIXART = Transformer(
    "PixArt", stack="blocks", blocks=(14,), of=28, kind=CROSS, attention="cross_attn"
)
ERNIE = Transformer(
    "Ernie-Image",
    stack="layers",
    blocks=(18,),
    of=36,
    image_first=True,
    attention="self_attention",
)
# Those for pictures are shown the one that they begin with, too.
WAN = Transformer(
    "Wan 2", stack="blocks", blocks=(15,), of=30, kind=CROSS, resolution=832, inpainting=True
)
# Its places ask for a picture first, and for the text where none is given.
WAN_I2V = replace(WAN, name="Wan 2.1 for pictures", asks=2)
WAN22 = replace(WAN, name="Wan 2.2 5B", cell=32)

BY_CLASS = {
    "DemoTransformer": DEMO_TRANSFORMER,
    "SD3": SD3,
    "Chroma": CHROMA,
    "Flux2": FLUX2,
    "LongCatImage": LONGCAT,
    "Flux": FLUX,
    "QwenImage": QWEN_IMAGE,
    "ZImage": Z_IMAGE,
    "Lumina2": LUMINA2,
    "AuraFlow": AURA,
    "Omnigen2": OMNIGEN2,
    "Krea2": KREA2,
    "HunyuanImage21": HUNYUAN_IMAGE,
    "HiDream": HIDREAM,
    "CosmosT2IPredict2": COSMOS_PREDICT2,
    "Anima": ANIMA,
    "PixArtAlpha": PIXART,
    "ErnieImage": ERNIE,
    "WAN21_T2V": WAN,
    "WAN21_I2V": WAN_I2V,
    "WAN22_T2V": WAN22,
}
"""By the class that ComfyUI's list of supported models has for them."""

UNREAD = {
    *("ChromaRadiance", "ZImagePixelSpace", "Boogu", "HunyuanImage21Refiner"),
    *("WAN21_CausalAR_T2V", "WAN21_FunControl2V", "WAN21_Vace", "WAN21_Camera", "WAN22_Camera"),
    *("WAN22_S2V", "WAN21_HuMo", "WAN22_Animate", "WAN21_FlowRVS", "WAN21_SCAIL", "WAN21_SCAIL2"),
    "WAN22_WanDancer",
}
"""Classes whose parents are known but that keep or see things in another way."""


def transformer_family(class_names: Iterable[str]) -> Transformer | None:
    """The family of a model, from the names of its class and of that one's parents, in order."""
    for name in class_names:
        if name in UNREAD:
            return None
        if name in BY_CLASS:
            return BY_CLASS[name]
    return None
