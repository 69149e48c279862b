"""Cut Out and Crop in a real ComfyUI: what a mask shows, by itself, to the pixel."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from server import Graph, GraphError

HEIGHT, WIDTH = 90, 140
THING = X0, Y0, X1, Y1 = 50, 20, 81, 47  # with its soft edge
NUMBERS = ("x", "y", "width", "height")


def picture(seed=3):
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def soft_mask():
    """uint8 (H, W): a thing with an edge of two pixels."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for inset, value in enumerate((64, 160, 255)):
        mask[Y0 + inset : Y1 - inset, X0 + inset : X1 - inset] = value
    return mask


def loaded(server, graph, arrays, name):
    """Pictures as one batch."""
    nodes = [
        graph.add("LoadImage", image=server.put_image(f"cut-{name}-{at}.png", each))[0]
        for at, each in enumerate(arrays)
    ]
    batch = nodes[0]
    for each in nodes[1:]:
        batch = graph.add("ImageBatch", image1=batch, image2=each)[0]
    return batch


def cut(server, pictures, masks, **values):
    """By output's name, lists of what it gives, int arrays; `again`: core's crop by the numbers."""
    graph = Graph()
    image = loaded(server, graph, pictures, "picture")
    grey = loaded(server, graph, [np.dstack([each] * 3) for each in masks], "mask")
    mask = graph.add("ImageToMask", image=grey, channel="red")[0]
    inputs = {"margin": 0, "multiple": 1, "color": "#ff0000", **values}
    node = graph.add("RefDiffCutOut", image=image, mask=mask, **inputs)
    crop_mask = graph.add("MaskToImage", mask=node[3])[0]
    places = {name: node[4 + at] for at, name in enumerate(NUMBERS)}
    again = graph.add("ImageCrop", image=image, **places)[0]
    given = {"cut": node[0], "color": node[1], "crop": node[2], "mask": crop_mask, "again": again}
    shown = {name: graph.add("PreviewImage", images=each).name for name, each in given.items()}
    run = server.run(graph.nodes)
    return {
        name: [read(server, file) for file in run.outputs[each]["images"]]
        for name, each in shown.items()
    }


def read(server, file):
    place = {key: file[key] for key in ("filename", "subfolder", "type")}
    return np.array(Image.open(BytesIO(server.get("/view", **place)))).astype(int)


def test_all_but_the_thing_is_clear_and_its_edge_stays_soft(server):
    (found,) = cut(server, [picture()], [soft_mask()])["cut"]
    assert found.shape == (HEIGHT, WIDTH, 4)
    assert np.abs(found[..., 3] - soft_mask()).max() <= 1
    assert np.abs(found[..., :3] - picture()).max() <= 1


@pytest.mark.parametrize("color, rgb", [("#2040f0", (32, 64, 240)), ("0f8", (0, 255, 136))])
def test_the_thing_lies_on_a_plain_colour_and_its_edge_is_mixed(server, color, rgb):
    (found,) = cut(server, [picture()], [soft_mask()], color=color)["color"]
    share = soft_mask()[..., None] / 255
    assert np.abs(found - (picture() * share + np.array(rgb) * (1 - share))).max() <= 1.01


def test_a_crop_has_its_margin_and_core_crops_the_same_by_its_numbers(server):
    found = cut(server, [picture()], [soft_mask()], margin=7)
    inside = np.s_[Y0 - 7 : Y1 + 7, X0 - 7 : X1 + 7]
    assert np.abs(found["crop"][0] - picture()[inside]).max() <= 1
    assert np.abs(found["mask"][0][..., 0] - soft_mask()[inside]).max() <= 1
    assert np.array_equal(found["again"][0], found["crop"][0])


def test_a_crop_ends_with_the_picture_and_its_sides_divide(server):
    found = cut(server, [picture()], [soft_mask()], margin=40, multiple=16)
    (crop,), (again,) = found["crop"], found["again"]
    # of 87 rows with the margin 80, as 96 there are not; of 111 columns 112
    assert crop.shape == (80, 112, 3)
    assert np.array_equal(again, crop)
    assert (found["mask"][0][..., 0] == 255).sum() == (soft_mask() == 255).sum()


def test_an_empty_mask_gives_nothing_cut_out_and_the_whole_picture_as_its_crop(server):
    found = cut(server, [picture()], [np.zeros((HEIGHT, WIDTH), np.uint8)], margin=5)
    assert found["cut"][0][..., 3].max() == 0
    assert (found["color"][0] == (255, 0, 0)).all()
    assert np.abs(found["crop"][0] - picture()).max() <= 1
    assert found["mask"][0].max() == 0
    assert np.array_equal(found["again"][0], found["crop"][0])


def test_each_mask_has_a_crop_of_its_own_size_from_its_own_picture(server):
    other = np.zeros((HEIGHT, WIDTH), np.uint8)
    other[60:84, 10:30] = 255
    masks, pictures = [soft_mask(), other], [picture(), picture(4)]
    found = cut(server, pictures, masks)
    sizes = [(Y1 - Y0, X1 - X0, 3), (24, 20, 3)]
    assert [each.shape for each in found["crop"]] == sizes
    assert np.abs(found["crop"][1] - picture(4)[60:84, 10:30]).max() <= 1
    of_one = cut(server, pictures[:1], masks)  # several masks of one picture
    assert [each.shape for each in of_one["crop"]] == sizes
    assert np.abs(of_one["crop"][1] - picture()[60:84, 10:30]).max() <= 1


@pytest.mark.parametrize(
    "masks, values, said",
    [
        ([soft_mask()], {"color": "pink"}, "'pink' is no colour. Write it as #rrggbb"),
        ([soft_mask()[:, :100]], {}, "mask is 100 x 90 pixels, but the picture is 140 x 90"),
    ],
)
def test_what_does_not_fit_is_said(server, masks, values, said):
    with pytest.raises(GraphError, match=said):
        cut(server, [picture()], masks, **values)


def test_masks_and_pictures_that_do_not_pair_are_counted(server):
    with pytest.raises(GraphError, match="3 masks for 2 pictures"):
        cut(server, [picture(), picture(4)], [soft_mask()] * 3)
