"""Transformer checkpoints: tiny random models of ComfyUI's real classes through the real nodes."""

from pathlib import Path

import numpy as np
import pytest
from graphs import iou, known, segment_graph
from server import Graph, GraphError, running

FAMILIES = (
    "sd3", "sd3.5-medium", "flux", "flux-fill", "chroma", "flux2", "klein", "qwen-image", "z-image",
    "lumina2", "auraflow", "omnigen2", "krea2", "hunyuan-image", "hidream", "cosmos-predict2",
    "anima", "wan", "longcat", "pixart", "ernie", "flux-schnell", "cosmos-predict2-i2v",
    "wan-i2v", "wan2.2-i2v", "wan2.2-5b",
)  # fmt: skip
NEWER = {"flux2", "klein", "z-image", "krea2", "anima", "longcat", "ernie"}
"""Not in ComfyUI 0.3.64."""
TEXT = (
    "the red circle\nthe circle left of the square\nthe cat on the "
    + "very large red " * 12
    + "circle"
)
ATTENTION = {"timestep": -1, "resolution": 128, "seed": 0, "sharpen": 0.0, "words": "content"}


@pytest.fixture(scope="module")
def tiny_server(comfy_root, tmp_path_factory):
    base = tmp_path_factory.mktemp("tiny")
    (base / "custom_nodes").mkdir()
    (base / "custom_nodes" / "tiny_pack").symlink_to(Path(__file__).with_name("tiny_pack"))
    with running(comfy_root, base, "--whitelist-custom-nodes refdiff tiny_pack") as host:
        yield host


def prove(server, family, size_hw=(96, 200), load=None):
    """What `proof.prove` finds of a family, its MODEL loaded by another node if one is given."""
    pixels = np.random.default_rng(0).integers(0, 255, (*size_hw, 3), np.uint8)
    graph = Graph()
    image = graph.add("LoadImage", image=server.put_image("noise.png", pixels))
    tiny = graph.add("TinyCheckpoint", family=family)
    model = graph.add(*load[:1], **load[1])[0] if load else tiny[0]
    models = {"model": model, "clip": tiny[1], "vae": tiny[2], "image": image[0]}
    asked = {**ATTENTION, "resolution": 256 if family == "pixart" else 128}
    read = graph.add("RefDiffAttention", **models, expressions=TEXT, **asked)
    proof = graph.add("TinyProof", **models, attention=read[0], family=family)
    return server.run(graph.nodes).outputs[proof.name]["proof"][0]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_words_maps_are_those_of_plain_full_attention(tiny_server, family):
    if family in NEWER and tiny_server.version.startswith("0.3"):
        pytest.skip(f"ComfyUI {tiny_server.version} does not have {family}")
    found = prove(tiny_server, family)
    assert max(found["maps"].values()) < 1e-4, found["maps"]
    assert found["alone"] < 1e-4
    assert found["over the page"] == 0
    assert found["contrast"] > 0.9
    assert found["unchanged"]
    assert found["ended by"] == {"RuntimeError": True, "InterruptProcessingException": True}
    ended, whole = found["calls"]
    assert 0 < ended < whole


def test_every_kind_of_model_that_the_host_knows_is_read_or_refused_in_clear_words(ask):
    found = ask("kinds", script="inside_transformers.py")
    refused = {name: said for name, said in found.items() if said not in ("U-Net", "tried")}
    assert {"SDXL", "Flux", "SD3", "QwenImage"}.isdisjoint(refused)
    for name, said in refused.items():
        assert name in said and ". Use " in said, (name, said)


@pytest.mark.parametrize("kind", ["default", "fp8_e4m3fn", "packed"])
def test_weights_of_eight_bits_are_read_as_the_host_computes_with_them(tiny_server, ask, kind):
    """Packed: by the operations of another pack, as GGUF's are."""
    folder = tiny_server.base / "models" / "diffusion_models"
    folder.mkdir(parents=True, exist_ok=True)
    file, packing = folder / f"{kind}.safetensors", ["packed"] * (kind == "packed")
    ask("weights", str(file), *packing, script="inside_transformers.py")
    loader = ("UNETLoader", {"unet_name": file.name, "weight_dtype": kind})
    found = prove(
        tiny_server, "sd3", load=("TinyPacked", {"path": str(file)}) if packing else loader
    )
    assert max(found["maps"].values()) < 1e-4, found["maps"]
    assert found["unchanged"] and found["ended by"]["RuntimeError"]
    assert ("float8_e4m3fn" in found["weights"]) == (kind == "fp8_e4m3fn"), found["weights"]
    assert ("uint8" in found["weights"]) == (kind == "packed"), found["weights"]


def test_packed_weights_choose_the_same_objects_by_maps_hardly_apart(ask):
    found = ask("packed", "15", script="inside_transformers.py")
    assert found["count"] >= 15 and found["share"] >= 0.9
    assert 0 < found["apart"] < 0.02
    assert "torch.uint8" in found["weights"]


@pytest.mark.parametrize("family", ["sd3", "flux", "qwen-image"])
def test_words_among_all_keys_cost_no_second_attention_but_where_others_attend(ask, family):
    found = ask("sums", family, script="inside_transformers.py")
    alone, passing, attending = found["alone"], found["passing"], found["attending"]
    # torch's function took the place of ComfyUI's in one block, also behind another pack
    assert attending[0] == alone[0] + 1 == passing[0] + 1
    assert (alone[1], passing[1], attending[1]) == (0, 0, 1)
    assert found["same"] and 0 < found["apart"] < 1e-5


@pytest.mark.parametrize("family", ["sd3.5-medium", "flux", "z-image"])
def test_diffusers_gives_the_same_maps_of_the_same_weights(ask, comfy_root, family):
    if family in NEWER and "0.3" in (comfy_root / "comfyui_version.py").read_text():
        pytest.skip(f"this ComfyUI does not have {family}")
    found = ask("same", family, script="inside_transformers.py")
    assert max(found.values()) < 1e-3, found


def test_the_demo_transformer_chooses_the_right_object_by_attention_alone(ask):
    found = ask("chooses", "15", script="inside_transformers.py")
    assert found["count"] >= 15 and found["share"] >= 0.9


def test_the_same_map_comes_from_both_hosts(ask):
    found = ask("demo", script="inside_transformers.py")
    assert max(found["readings"].values()) < 1e-3, found
    assert found["traces"]


def test_an_expression_without_a_place_in_the_text_says_so(tiny_server):
    graph = Graph()
    pixels = np.zeros((96, 200, 3), np.uint8)
    image = graph.add("LoadImage", image=tiny_server.put_image("black.png", pixels))
    tiny = graph.add("TinyCheckpoint", family="flux")
    models = {"model": tiny[0], "clip": tiny[1], "vae": tiny[2], "image": image[0]}
    graph.add("PreviewImage", images=graph.add(
        "RefDiffAttention", **models, expressions="\u7ea2\u8272\u7684\u676f\u5b50", **ATTENTION
    )[2])  # fmt: skip
    with pytest.raises(GraphError, match="can be read as words"):
        tiny_server.run(graph.nodes)


def test_the_demo_transformer_paints_and_segments_in_a_graph(server):
    (asked,) = known(server, 1)
    graph, demo, _, _, shown = segment_graph(asked.name, asked.text)
    demo.set(denoiser="transformer")
    assert iou(server.mask(server.run(graph.nodes), shown.name), asked.mask) > 0.7
