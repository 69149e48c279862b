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
