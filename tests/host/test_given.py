"""What other nodes hand over: taken as it is meant, or told in one sentence of ours."""


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
