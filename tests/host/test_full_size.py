"""Checkpoints of full size with random weights, through the real server, and the example graphs."""

import numpy as np
import pytest
from checkpoints import write_sam
from graphs import ATTENTION, SAM3, known, node, show_mask, to_prompt
from server import Graph, running

from refdiff_core.backends.families import SD1, SDXL

pytestmark = pytest.mark.slow
SECONDS = 1800


@pytest.fixture(scope="module")
def server(comfy_root, tmp_path_factory):
    """A server that leaves weights in half precision, as SDXL's would fill the memory of most.

    On a CPU, ComfyUI's own way of attention takes SAM 3 more than a quarter of an hour a picture.
    """
    flags = "--fp16-unet --use-pytorch-cross-attention"
    with running(comfy_root, tmp_path_factory.mktemp("full"), flags) as host:
        yield host
    assert not host.tracebacks(), "\n".join(host.tracebacks())


@pytest.fixture
def put_model(server):
    """Links a file into a folder of the host's models; what is loaded goes after the test."""

    def put(path, folder, name):
        link = server.base / "models" / folder / name
        link.parent.mkdir(exist_ok=True)
        if not link.exists():
            link.symlink_to(path)

    yield put
    server.post("/free", {"unload_models": True, "free_memory": True})


@pytest.fixture(scope="session")
def sam_file(tmp_path_factory):
    return write_sam(tmp_path_factory.mktemp("sam") / "sam.pth")


@pytest.mark.parametrize("channels", [4, 9])
def test_a_stock_checkpoint_feeds_the_attention(server, put_model, full_size, channels):
    name = f"random-sd1-{channels}.safetensors"
    put_model(full_size(SD1, channels), "checkpoints", name)
    case = known(server, 1)[0]
    graph = Graph()
    stock = graph.add("CheckpointLoaderSimple", ckpt_name=name)
    loaded = graph.add("LoadImage", image=case.name)
    attention = graph.add(
        "RefDiffAttention", model=stock[0], clip=stock[1], vae=stock[2], image=loaded[0],
        expressions=case.text, **{**ATTENTION, "resolution": 256},
    )  # fmt: skip
    shown = show_mask(graph, attention, 1)
    heat = server.picture(server.run(graph.nodes, seconds=SECONDS), shown.name)
    assert heat.shape[:2] == case.mask.shape
    assert heat.min() == 0 and heat.max() == 255


def reduced(prompt, image):
    """An example graph for another picture, with fewer steps at a smaller size."""
    for each in prompt.values():
        kind, inputs = each["class_type"], each["inputs"]
        if kind == "LoadImage":
            inputs["image"] = image
        elif kind == "KSampler":
            inputs["steps"] = 2
        elif kind.startswith("RefDiff") and "resolution" in inputs:
            # what a random SAM finds are speckles, which would cover everything when grown
            inputs |= {"resolution": 256, "grow": 0, "feather": 0}
        elif kind == "ImageScaleToTotalPixels":
            inputs["megapixels"] = 0.0625
    return prompt


@pytest.mark.parametrize(
    ("graph", "family", "channels", "file"),
    [
        ("Inpaint by words - SD 1.5", SD1, 9, "sd-v1-5-inpainting.safetensors"),
        ("Crop, inpaint, stitch - SDXL", SDXL, 4, "sd_xl_base_1.0.safetensors"),
    ],
    ids=["sd15", "sdxl"],
)
def test_the_graphs_for_photographs_paint_where_the_mask_is(
    server, put_model, full_size, sam_file, graph, family, channels, file
):
    put_model(full_size(family, channels), "checkpoints", file)
    put_model(sam_file, "sams", "sam_vit_b_01ec64.pth")
    photo = photograph((144, 208) if family is SD1 else (560, 600))
    prompt = reduced(to_prompt(server, graph), server.put_image("photo.png", photo))
    segment = node(prompt, "RefDiffSegment")
    prompt["mask"] = {"class_type": "MaskToImage", "inputs": {"mask": [segment, 0]}}
    prompt["shown"] = {"class_type": "PreviewImage", "inputs": {"images": ["mask", 0]}}
    run = server.run(prompt, seconds=SECONDS)
    painted = server.picture(run, node(prompt, "SaveImage"))
    mask = server.picture(run, "shown")[..., 0]
    changed = np.abs(painted.astype(int) - photo.astype(int)).max(-1)
    assert 0.001 < (mask > 0).mean() < 0.999
    assert changed[mask > 250].mean() > 5
    assert not changed[mask == 0].any()


def test_the_graph_of_sam3_ranks_its_masks(server, ask, put_model, full_size, tmp_path):
    if not server.has("SAM3_Detect"):
        pytest.skip("this ComfyUI has no SAM 3 (0.20 and newer have)")
    file = tmp_path / "sam3.safetensors"
    assert ask("sam3_file", str(file)) == ["SAM3", "SAM3TokenizerWrapper"]
    put_model(full_size(SD1, 9), "checkpoints", "sd-v1-5-inpainting.safetensors")
    put_model(file, "checkpoints", "sam3.1_multiplex_fp16.safetensors")
    photo = photograph((144, 208))
    prompt = to_prompt(server, SAM3)
    prompt = reduced(prompt, server.put_image("photo.png", photo))
    prompt[node(prompt, "SAM3_Detect")]["inputs"] |= {"refine_iterations": 0, "threshold": 0.1}
    run = server.run(prompt, seconds=SECONDS)
    shown = [each for each in prompt if prompt[each]["class_type"] == "PreviewImage"]
    assert all(server.picture(run, each).shape == photo.shape for each in shown)
    file.unlink()


def photograph(size_hw):
    """Something with edges and colours of every size."""
    noise = np.random.default_rng(0)
    layers = [resized(noise.integers(0, 256, (n, n, 3), np.uint8), size_hw) for n in (3, 9, 40)]
    return np.mean(layers, 0).astype(np.uint8)


def resized(pixels, size_hw):
    from PIL import Image

    return np.array(Image.fromarray(pixels).resize(size_hw[::-1], Image.Resampling.BICUBIC))
