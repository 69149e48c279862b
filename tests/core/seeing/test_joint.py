"""Attention that has text and picture in one sequence, against plain softmaxes of the whole."""

from functools import partial

import pytest
import torch

from refdiff_core.seeing.attention import word_weights
from refdiff_core.seeing.capture import Capture, PassComplete
from refdiff_core.seeing.joint import JointReader, TokenLayout, attention_over_all

GRID, TOKENS, HEADS, SIZE = (3, 5), 6, 2, 8
PLACES = GRID[0] * GRID[1]
WORDS = [[[1], [2, 3]], [[4], [1]]]
SAID = torch.tensor([[True] * 5 + [False], [True] * 6])


def call(length, seed=0, heads=HEADS):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(2, heads, length, SIZE, generator=draw)


def attend(query, key, value, mask=None):
    key, value = (
        each.repeat_interleave(query.shape[1] // each.shape[1], 1) for each in (key, value)
    )
    out = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return out.transpose(1, 2).flatten(2)


def shares(query, key, mask=None):
    scores = query.double() @ key.double().transpose(-1, -2) * SIZE**-0.5
    return (scores if mask is None else scores + mask).softmax(-1).mean(1).float()


def plainly(query, key, value, mask=None):
    """Attention that is none of torch's own, such as another node's."""
    scores = query @ key.transpose(-1, -2) * SIZE**-0.5
    scores = scores if mask is None else scores + mask
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)


def read(layout, reading, query, key, value, mask=None, before=0, propagation=0, attend=attend):
    weights = word_weights(WORDS, TOKENS)
    capture = Capture(["1"], weights, propagation=propagation)
    reader = JointReader(capture, layout, weights, SAID, reading)
    small = call(TOKENS)
    for _ in range(before):  # refiners see one of the two alone
        reader.see(small, small, lambda: attend(small, small, small))
    other = call(query.shape[2], 9)
    reader.see(other, other, lambda: attend(other, other, other))
    with pytest.raises(PassComplete):
        reader.see(query, key, lambda: attend(query, key, value, mask), mask)
    return capture.word_maps()


def wanted(columns):
    """Words' maps from the text's columns, (B, T, TOKENS)."""
    rows = columns @ word_weights(WORDS, TOKENS)
    return rows.transpose(1, 2).unflatten(-1, GRID)


@pytest.mark.parametrize("attend", [attend, plainly])
@pytest.mark.parametrize("image_first", [False, True])
def test_words_are_read_among_all_keys_wherever_the_text_stands(image_first, attend):
    length = PLACES + TOKENS + 4  # padding, or another picture
    layout = (
        TokenLayout(0, PLACES, TOKENS, GRID)
        if image_first
        else TokenLayout(TOKENS, 0, TOKENS, GRID)
    )
    query, key, value = call(length), call(length, 1), call(length, 2)
    found = read(layout, "all", query, key, value, before=2, attend=attend)
    whole = shares(query, key)[:, layout.places]
    torch.testing.assert_close(found, wanted(whole[..., layout.text : layout.text + TOKENS]))


@pytest.mark.parametrize("attend", [attend, plainly])
def test_a_mask_of_the_hosts_counts(attend):
    length = PLACES + TOKENS
    query, key, value = call(length), call(length, 1), call(length, 2)
    mask = torch.zeros(2, 1, 1, length)
    mask[1, ..., 2] = -torch.inf
    layout = TokenLayout(TOKENS, 0, TOKENS, GRID)
    found = read(layout, "all", query, key, value, mask, attend=attend)
    whole = shares(query, key, mask)[:, TOKENS:]
    torch.testing.assert_close(found, wanted(whole[..., :TOKENS]))


def test_among_the_text_padding_takes_nothing():
    length = PLACES + TOKENS
    query, key, value = call(length), call(length, 1), call(length, 2)
    found = read(TokenLayout(TOKENS, 0, TOKENS, GRID), "text", query, key, value)
    closed = torch.zeros(2, 1, 1, TOKENS).masked_fill(~SAID[:, None, None], -torch.inf)
    columns = shares(query[:, :, TOKENS:], key[:, :, :TOKENS], closed)
    torch.testing.assert_close(found, wanted(columns))
    assert float(columns[0, :, 5].max()) == 0


def test_outputs_are_compared_among_the_texts_tokens():
    length = PLACES + TOKENS
    query, key, value = call(length), call(length, 1), call(length, 2)
    found = read(TokenLayout(TOKENS, 0, TOKENS, GRID), "output", query, key, value)
    out = attend(query, key, value)
    alike = out[:, TOKENS:] @ out[:, :TOKENS].transpose(1, 2)
    columns = alike.masked_fill(~SAID[:, None], -torch.inf).softmax(-1)
    torch.testing.assert_close(found, wanted(columns))


@pytest.mark.parametrize("reading", ["text", "output", "all"])
def test_maps_keep_their_precision_where_the_host_runs_its_pass_in_autocast(reading):
    layout, weights = TokenLayout(TOKENS, 0, TOKENS, GRID), word_weights(WORDS, TOKENS)
    query, key, value = (call(PLACES + TOKENS, seed) for seed in range(3))
    output = attend(query, key, value)

    def recorded():
        reader = JointReader(Capture(["0"], weights, stop=False), layout, weights, SAID, reading)
        reader.see(query, key, lambda: output)
        return reader.capture.word_maps()

    plain = recorded()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(recorded(), plain)


def test_in_cross_attention_keys_are_the_text_alone():
    query, key = call(PLACES), call(TOKENS, 1)
    layout = TokenLayout(0, 0, TOKENS, GRID, cross=True, keys=TOKENS)
    weights = word_weights(WORDS, TOKENS)
    capture = Capture(["0"], weights)
    reader = JointReader(capture, layout, weights, SAID)
    reader.see(query, query, lambda: query)  # self-attention
    with pytest.raises(PassComplete):
        reader.see(query, key, lambda: query)
    torch.testing.assert_close(capture.word_maps(), wanted(shares(query, key)))


def test_places_among_themselves_are_not_taken_for_a_text_of_as_many_tokens():
    query, key = call(TOKENS), call(TOKENS, 1)
    layout = TokenLayout(0, 0, TOKENS, (2, 3), cross=True, keys=TOKENS)
    weights = word_weights(WORDS, TOKENS)
    capture = Capture(["1"], weights)
    reader = JointReader(capture, layout, weights, torch.ones_like(SAID), "text")
    for _ in range(3):  # the first block, and the second's places
        reader.see(query, query, lambda: query)
    with pytest.raises(PassComplete):
        reader.see(query, key, lambda: query)
    rows = shares(query, key) @ weights
    torch.testing.assert_close(capture.word_maps(), rows.transpose(1, 2).unflatten(-1, (2, 3)))


@pytest.mark.parametrize("places", [PLACES, TOKENS])
def test_where_places_ask_twice_the_last_answer_is_the_texts(places):
    query, picture, key = call(places), call(TOKENS, 1), call(TOKENS, 2)
    grid = GRID if places == PLACES else (2, 3)
    layout = TokenLayout(0, 0, TOKENS, grid, cross=True, keys=TOKENS, asks=2)
    weights = word_weights(WORDS, TOKENS)
    capture = Capture(["1"], weights)
    reader = JointReader(capture, layout, weights, SAID)
    with pytest.raises(PassComplete):
        for _ in range(2):  # blocks: places among themselves, a picture, the text
            for asked in (query, picture, key):
                reader.see(query, asked, lambda: query)
    rows = shares(query, key) @ weights
    torch.testing.assert_close(capture.word_maps(), rows.transpose(1, 2).unflatten(-1, grid))


def test_a_block_that_is_named_is_not_counted():
    length = PLACES + TOKENS
    layout, weights = TokenLayout(TOKENS, 0, TOKENS, GRID), word_weights(WORDS, TOKENS)
    query, key, value = call(length), call(length, 1), call(length, 2)
    capture = Capture(["7"], weights, stop=False)
    reader = JointReader(capture, layout, weights, SAID, "text")
    reader.see(query, key, lambda: attend(query, key, value), block="6")
    assert capture.pending
    reader.see(query, key, lambda: attend(query, key, value), block="7")
    found = read(layout, "text", query, key, value)
    torch.testing.assert_close(capture.word_maps(), found)


def test_keys_that_heads_share_are_read_for_each_of_them():
    length = PLACES + TOKENS
    query, key = call(length, heads=4), call(length, 1, heads=2)
    repeated = key.repeat_interleave(2, 1)
    found = read(TokenLayout(TOKENS, 0, TOKENS, GRID), "all", query, key, key)
    whole = shares(query, repeated)[:, TOKENS:, :TOKENS]
    torch.testing.assert_close(found, wanted(whole))


def test_maps_spread_along_the_pictures_own_part():
    length = PLACES + TOKENS
    query, key, value = call(length), call(length, 1), call(length, 2)
    layout = TokenLayout(TOKENS, 0, TOKENS, GRID)
    plain = read(layout, "all", query, key, value).flatten(2)
    spread = read(layout, "all", query, key, value, propagation=1).flatten(2)
    among = shares(query[:, :, TOKENS:], key[:, :, TOKENS:])
    torch.testing.assert_close(spread, plain @ among.transpose(1, 2))


def test_more_words_than_a_head_is_wide_are_read():
    query, key = call(PLACES), call(20, 1)
    weights = torch.eye(20).expand(2, 20, 20)
    found = attention_over_all(query, key, weights)
    torch.testing.assert_close(found.transpose(1, 2), shares(query, key))


@pytest.mark.parametrize("reading", ["all", "text", "output"])
def test_torchs_own_kernels_take_the_hosts_place_for_the_sake_of_sums_only(reading):
    length = PLACES + TOKENS
    weights, layout = word_weights(WORDS, TOKENS), TokenLayout(TOKENS, 0, TOKENS, GRID)
    query, key, value = call(length), call(length, 1), call(length, 2)
    asked = []

    def note(name, attend):
        asked.append(name)
        return attend(query, key, value)

    reader = JointReader(Capture(["0"], weights, stop=False), layout, weights, SAID, reading)
    calls = [partial(note, "host", plainly), partial(note, "torch", attend)]
    reader.see(query, key, calls[0], fused=calls[1])
    assert asked == ["torch" if reading == "all" else "host"]
    found = read(layout, reading, query, key, value, attend=plainly)
    torch.testing.assert_close(reader.capture.word_maps(), found)


def test_a_call_that_is_not_asked_for_is_left_alone():
    length = PLACES + TOKENS
    weights = word_weights(WORDS, TOKENS)
    reader = JointReader(
        Capture(["7"], weights), TokenLayout(TOKENS, 0, TOKENS, GRID), weights, SAID
    )
    query, answer = call(length), call(length, 3)
    assert reader.see(query, query, lambda: answer) is answer
