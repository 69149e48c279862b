"""What other nodes hand over: taken as it is meant, or told in one sentence of ours."""

import json


def test_what_other_nodes_give_is_taken_as_it_is_meant(ask):
    found = ask("given")
    # core's SAM 3 gives no masks at all where it finds nothing
    assert found["none"][:2] == [1, False]
    assert found["none"][2].startswith("Nothing found for 'the painted thing'")
    assert found["drawn"] == [1, 96, 160]
    assert found["list"] == 2
    assert [found[name] for name in ("past the edge", "before it", "no mask")] == [100] * 3
    assert found["one mask"] == [[1, 96, 160], [2, 96, 160], True]
    assert found["unlike"].startswith("MaskError: ") and "160 x 50" in found["unlike"]
    assert found["no fit"].startswith("MaskError: ")
    assert "channels first" in found["planes"] and found["planes"].startswith("ImageError: ")
    assert "Divide it by 255" in found["bytes"]


def test_of_several_pictures_each_has_its_own_painted_hint_or_all_have_one(ask):
    assert ask("hints") == {
        "each": [[1, 0], [0, 1]],
        "one": [[1, 0], [1, 0]],
        "four": [[1, 0], [0, 1], [1, 0], [0, 1]],
    }


def test_what_no_node_should_hand_over_is_told_in_one_sentence_or_means_something(ask):
    found = ask("odd")
    told = {name: each for name, each in found.items() if isinstance(each, str)}
    assert not [
        each for each in told.values() if not each.startswith(("ImageError: ", "MaskError: "))
    ]
    assert {name.split()[0] for name in told} == {"image", "mask", "hint", "seg", "segs", "size"}
    taken = {name: each for name, each in found.items() if name not in told}
    pictures = [each for name, each in taken.items() if name.startswith("image ")]
    assert all(each[1:] == ["torch.float32", True] for each in pictures) and len(pictures) >= 5
    areas = {name: each[0] for name, each in taken.items() if name.startswith(("mask ", "hint "))}
    assert {name for name, area in areas.items() if area != 600} == {
        "mask negative",
        "hint negative",
    }
    segs = {name.removeprefix("seg "): each for name, each in taken.items() if name[:4] == "seg "}
    assert [segs[name][0] for name in ("flat", "thin", "point")] == [[30], [20], [1]]
    sure = {name: each[1] for name, each in segs.items() if name.startswith("confidence ")}
    assert sure == {
        "confidence none": [1], "confidence nan": [1], "confidence inf": [1],
        "confidence negative": [0], "confidence whole": [1],
    }  # fmt: skip


def test_whatever_a_link_brings_to_any_input_is_taken_or_told_in_one_sentence(ask):
    found = ask("linked")
    assert found.pop("tried") > 500 and len(found) > 300
    ours = ("RefDiffError", "SettingsError", "MaskError", "ImageError", "ModelError")
    assert {each.partition(":")[0] for each in found.values()} <= {*ours, "ExpressionError"}, found
    # of a file that holds the denoiser alone, loaders give None
    for node in ("RefDiffSegment", "RefDiffAttention"):
        for part in ("clip", "vae"):
            told = found[f"{node} {part} None"]
            assert "Nothing came in by" in told and "load it by itself" in told
    for node in ("RefDiffSegment", "RefDiffFuseMasks", "RefDiffPick"):
        assert f"{node} threshold None" not in found
        assert "expected 0 to 1" in found[f"{node} threshold 1000000000"]


def test_networks_breaks_and_comments_of_pasted_prompts_are_no_words(ask):
    assert ask("pasted") == [
        ["the red circle"],
        ["the red circle on the left"],
        ["the red circle"],
        ["the red circle"],
        ["a break in the wall"],
    ]


WEIGHTED = {
    "(face:1.3) . hair . left (hand:0.8)": [
        ["(face:1.3)", {"face": 1.3}],
        ["hair", {}],
        ["left (hand:0.8)", {"hand": 0.8}],
    ],
    "the ((red)) cup and the (blue bowl:1.5)": [
        ["the (red:1.21) cup", {"red": 1.21}],
        ["the (blue:1.5) (bowl:1.5)", {"blue": 1.5, "bowl": 1.5}],
    ],
    "remove the (brwon:1.2) dog": [["the (brown:1.2) dog", {"brown": 1.2}]],
    "<lora:a:1> cup /* no */ . BREAK (bowl:1.2)": [["cup", {}], ["(bowl:1.2)", {"bowl": 1.2}]],
    "the two (red:1.4) cups": [["the two (red:1.4) cups", {"red": 1.4}]],
    "the cup\nnot: the (red:1.4) one, please": [
        ["the cup", {}],
        ["the (red:1.4) one, please", {"red": 1.4}],
    ],
    "not: the (circle:1.4)": [["everything but the (circle:1.4)", {"circle": 1.4}]],
    "everything but the (dog:1.2)": [["everything but the (dog:1.2)", {"dog": 1.2}]],
    "the (background:1.3)": [["the (background:1.3) . a with", {"background": 1.3}]],
    "cup \\(left\\) . bowl": [["cup \\(left\\)", {}], ["bowl", {}]],
    "the red or the (blue:1.2) (cup:1.1)": [
        ["the red (cup:1.1)", {"cup": 1.1}],
        ["the (blue:1.2) (cup:1.1)", {"blue": 1.2, "cup": 1.1}],
    ],
}


def test_words_keep_their_weights_in_every_kind_of_line(ask):
    assert ask("weighted", json.dumps([*WEIGHTED])) == WEIGHTED
