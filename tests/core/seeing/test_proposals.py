"""Pure maths on masks."""

import torch

from refdiff_core.seeing.proposals import (
    THRESHOLDS,
    AttentionProposer,
    best_apart,
    mask_boxes,
    mask_iou,
    off_ground,
    peaks_of,
    propose_from_attention,
    within_limits,
)
from refdiff_core.values import AttentionMap, Proposals


def box(y0, x0, y1, x1, size=(12, 20)):
    made = torch.zeros(size, dtype=torch.bool)
    made[y0:y1, x0:x1] = True
    return made


def test_boxes_are_xyxy_with_exclusive_ends_and_zero_for_an_empty_mask():
    boxes = mask_boxes(torch.stack([box(2, 3, 5, 9), box(0, 0, 0, 0)]))
    assert boxes.tolist() == [[3, 2, 9, 5], [0, 0, 0, 0]]


def test_iou_of_every_pair():
    a, b, empty = box(0, 0, 2, 2), box(0, 0, 2, 4), box(0, 0, 0, 0)
    iou = mask_iou(torch.stack([a, b, empty]), torch.stack([a, b, empty]))
    expected = [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 0]]
    assert torch.allclose(iou, torch.tensor(expected))


def test_of_two_duplicates_the_better_stays():
    masks = torch.stack([box(0, 0, 10, 10), box(0, 0, 10, 9), box(0, 12, 4, 18)])
    keep = best_apart(mask_iou(masks, masks) > 0.8, torch.tensor([0.5, 0.9, 0.1]))
    assert keep.tolist() == [False, True, True]


def test_among_equals_the_first_stays_and_none_is_fine():
    twice = torch.stack([box(0, 0, 4, 4)] * 2)
    assert best_apart(mask_iou(twice, twice) > 0.9, torch.ones(2)).tolist() == [True, False]
    assert best_apart(mask_iou(twice[:0], twice) > 0.9, torch.ones(0)).tolist() == []


def test_limits_are_shares_of_the_picture():
    masks = torch.stack([box(0, 0, 0, 0), box(0, 0, 1, 1), box(0, 0, 6, 10), box(0, 0, 12, 20)])
    assert within_limits(Proposals.of(masks), 0.01, 0.9).tolist() == [False, False, True, False]


def test_cuts_and_their_parts_are_proposed_once_each():
    heat = torch.zeros(12, 20)
    heat[2:5, 2:6] = 1
    heat[7:10, 12:18] = 0.6
    found = propose_from_attention(AttentionMap(heat))
    expected = {"both": heat > 0.5, "left": heat == 1, "right": heat == 0.6}
    assert len(found) == 3
    for name, mask in expected.items():
        assert any(torch.equal(mask, each) for each in found.masks), name


def test_a_map_without_contrast_proposes_nothing():
    attention = AttentionMap(torch.zeros(12, 20))
    assert len(propose_from_attention(attention)) == 0
    found = AttentionProposer().propose(torch.zeros(12, 20, 3), [attention])
    assert len(found) == 1 and found[0].masks.shape == (0, 12, 20)


def test_things_are_where_the_map_of_the_ground_is_weak():
    heat = torch.rand(12, 20) * 0.2 + 0.8
    heat[2:5, 2:6] = torch.rand(3, 4) * 0.3
    found = off_ground(AttentionMap(heat)).heat
    assert found[2:5, 2:6].all() and found.sum() == 12
    assert not off_ground(AttentionMap(torch.zeros(12, 20))).heat.any()


def find_peaks(heat, count):
    points, heights = peaks_of(heat, count)
    return points[heights > 0]


def test_peaks_come_highest_first_and_apart():
    heat = torch.zeros(12, 20)
    heat[1:4, 14:17], heat[8:11, 3:6], heat[10, 18] = 0.8, 1.0, 0.1
    peaks = find_peaks(heat, 5) * torch.tensor([20.0, 12.0])
    assert torch.allclose(peaks, torch.tensor([[4.5, 9.5], [15.5, 2.5]]))


def test_a_flat_region_is_prompted_inside():
    heat = torch.zeros(60, 100)
    heat[10:50, 20:80] = 1
    peaks = find_peaks(heat, 6) * torch.tensor([100.0, 60.0])
    assert len(peaks) == 6
    assert (peaks[:, 0] > 22).all() and (peaks[:, 0] < 78).all()
    assert (peaks[:, 1] > 12).all() and (peaks[:, 1] < 48).all()


def test_a_painted_dot_is_a_peak_by_itself():
    heat = torch.zeros(384, 512)
    heat[100:114, 300:314] = 1
    (peak,) = find_peaks(heat, 4) * torch.tensor([512.0, 384.0])
    assert 298 < peak[0] < 316 and 98 < peak[1] < 116


def test_peaks_of_a_large_map_are_found_on_a_coarse_grid():
    heat = torch.zeros(96, 160)
    heat[60:70, 100:110] = 1
    (peak,) = find_peaks(heat, 1)
    assert 100 <= peak[0] * 160 <= 110 and 60 <= peak[1] * 96 <= 70
    assert find_peaks(torch.zeros(96, 160), 4).shape == (0, 2)


def test_cuts_at_percentiles_hold_their_share_of_the_picture():
    heat = torch.rand(40, 60, generator=torch.Generator().manual_seed(0)) ** 4
    proposer = AttentionProposer(components=False, percentiles=True)
    (found,) = proposer.propose(torch.zeros(40, 60, 3), [AttentionMap(heat)])
    assert torch.allclose(found.areas, 1 - torch.tensor(THRESHOLDS), atol=0.01)


def test_without_components_a_map_has_whole_cuts_only():
    heat = torch.zeros(12, 20)
    heat[2:5, 2:6] = heat[2:5, 12:16] = 1.0
    (found,) = AttentionProposer(components=False).propose(
        torch.zeros(12, 20, 3), [AttentionMap(heat)]
    )
    assert torch.equal(found.masks, heat[None] > 0)
