"""The sums that fast attention finds on its way, against plain ones."""

import pytest
import torch
import torch.nn.functional as F

from refdiff_core.seeing.log_sum_exp import attend_and_sum, gives_sums

HEADS, SIZE, PLACES, KEYS = 2, 16, 15, 21


def draw(length, seed, dtype=torch.float32, heads=HEADS):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, heads, length, SIZE, generator=generator).to(dtype)


def call(dtype=torch.float32):
    return draw(PLACES, 0, dtype), draw(KEYS, 1, dtype), draw(KEYS, 2, dtype)


@pytest.mark.parametrize("modes", [torch.inference_mode, torch.no_grad, torch.enable_grad])
@pytest.mark.parametrize("masked", [False, True])
def test_the_sums_are_those_of_all_keys_and_the_output_stays_bit_for_bit(modes, masked):
    with modes():
        query, key, value = call()
        mask = torch.zeros(2, 1, 1, KEYS) if masked else None
        if masked:
            mask[1, ..., 3] = -torch.inf
        wanted = F.scaled_dot_product_attention(query, key, value, mask)
        output, sums = attend_and_sum(
            lambda: F.scaled_dot_product_attention(query, key, value, mask), query, key
        )
        scores = query.double() @ key.double().transpose(-1, -2) * SIZE**-0.5
        scores = scores if mask is None else scores + mask
    assert torch.equal(output, wanted)
    if masked and sums is None and torch.__version__ < "2.2":
        pytest.skip("this torch keeps no sums of masked attention")
    torch.testing.assert_close(sums, scores.logsumexp(-1).float())


def test_half_precision_sums_are_whole():
    query, key, value = call(torch.bfloat16)
    _, sums = attend_and_sum(lambda: F.scaled_dot_product_attention(query, key, value), query, key)
    scores = query.double() @ key.double().transpose(-1, -2) * SIZE**-0.5
    torch.testing.assert_close(sums, scores.logsumexp(-1).float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["other keys", "another scale", "no kernel of torch's"])
def test_sums_of_another_attention_are_not_taken(name):
    query, key, value = call()

    def attend():
        if name == "other keys":
            return F.scaled_dot_product_attention(query, key + 1, value)
        if name == "another scale":
            return F.scaled_dot_product_attention(query, key, value, scale=0.1)
        return (query @ key.transpose(-1, -2)).softmax(-1) @ value

    output, sums = attend_and_sum(attend, query, key)
    assert sums is None and torch.equal(output, attend())


@pytest.mark.parametrize("shape", [None, (PLACES, KEYS), (2, 1, KEYS), (2, 1, 1, KEYS)])
def test_it_is_known_beforehand_that_sums_will_come(shape):
    query, key, value = call()
    mask = None if shape is None else torch.zeros(shape)
    rows = mask[:, None] if mask is not None and mask.ndim == 3 else mask
    _, sums = attend_and_sum(
        lambda: F.scaled_dot_product_attention(query, key, value, rows), query, key
    )
    assert gives_sums(query, key, value, mask) == (sums is not None)
    assert mask is not None or sums is not None  # older versions of torch have none with masks


def test_no_sums_are_promised_of_masks_of_other_kinds_shared_keys_and_unknown_devices():
    query, key, value = call()
    for kind in (torch.bool, torch.float64):
        assert not gives_sums(query, key, value, torch.ones(PLACES, KEYS, dtype=kind))
    assert not gives_sums(draw(PLACES, 0, heads=2 * HEADS), key, value)
    assert not gives_sums(*(each.to("meta") for each in (query, key, value)))
