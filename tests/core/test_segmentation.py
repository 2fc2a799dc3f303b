"""The table of labels: names, mirror images, mappings and regions."""

import numpy as np
import pytest

from vton_jax.core import segmentation


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, segmentation.NUM_LABELS, (2, 7, 9)).astype(np.uint8)


def test_table_is_complete():
    assert len(segmentation.LABELS) == len(set(segmentation.LABELS)) == segmentation.NUM_LABELS == 18
    assert segmentation.PALETTE.shape == (18, 3)
    assert len({tuple(colour) for colour in segmentation.PALETTE.tolist()}) == 18
    assert segmentation.ID["background"] == 0


def test_mirror_twice_is_the_identity_and_exchanges_sides(labels):
    labels[0, 0, 0] = segmentation.UNKNOWN
    np.testing.assert_array_equal(segmentation.mirror(segmentation.mirror(labels)), labels)
    one = np.array([[segmentation.ID["left-arm"], segmentation.ID["hair"], segmentation.UNKNOWN]], np.uint8)
    expected = [[segmentation.UNKNOWN, segmentation.ID["hair"], segmentation.ID["right-arm"]]]
    assert segmentation.mirror(one).tolist() == expected


def test_one_hot(labels):
    labels[1, 2, 3] = segmentation.UNKNOWN
    maps = np.asarray(segmentation.one_hot(labels))
    assert maps.shape == (2, 7, 9, 18)
    assert maps[1, 2, 3].sum() == 0
    known = labels != segmentation.UNKNOWN
    np.testing.assert_array_equal(maps[known].argmax(-1), labels[known])
    np.testing.assert_array_equal(maps[known].sum(-1), 1)


def test_regions_and_sets_of_labels(labels):
    for wanted in (segmentation.LOWER, *segmentation.GARMENT_LABELS.values()):
        expected = np.isin(labels, wanted)
        np.testing.assert_array_equal(segmentation.region(labels, wanted), expected)
        found = segmentation.in_bit_set(labels.astype(np.int32), segmentation.bit_set(wanted))
        np.testing.assert_array_equal(found, expected)


def test_boundaries_against_a_slow_reference(labels):
    found = np.asarray(segmentation.boundaries(labels))
    expected = np.zeros(labels.shape, bool)
    for b, y, x in np.ndindex(*labels.shape):
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            if 0 <= y + dy < labels.shape[1] and 0 <= x + dx < labels.shape[2]:
                expected[b, y, x] |= labels[b, y, x] != labels[b, y + dy, x + dx]
    np.testing.assert_array_equal(found, expected)
