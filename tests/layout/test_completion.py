"""Holes of coarse maps; `reconcile` is tested where it is scored, in tests/evaluate/test_ccp_layouts.py."""

import numpy as np
from capsule_people import person

from vton_jax.core import segmentation
from vton_jax.core.segmentation import UNKNOWN
from vton_jax.layout import completion


def test_fill_unknown_is_the_nearest_label():
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 18, (24, 20)).astype(np.uint8)
    coarse[rng.uniform(size=coarse.shape) < 0.6] = UNKNOWN
    filled = completion.fill_unknown(coarse)
    y, x = np.nonzero(coarse != UNKNOWN)
    for row in range(24):
        for column in range(20):
            distance = (y - row) ** 2 + (x - column) ** 2
            assert filled[row, column] in coarse[y, x][distance == distance.min()]
    assert (completion.fill_unknown(np.full((4, 4), UNKNOWN, np.uint8)) == 0).all()
    assert np.array_equal(completion.fill_unknown(np.stack([coarse, coarse]))[1], filled)


def test_reconciling_does_not_depend_on_the_size():
    labels = person(0.5, 1.2).segmentation[::2, ::2]
    coarse = np.where(np.indices(labels.shape).sum(0) // 9 % 4 == 0, np.uint8(UNKNOWN), labels)
    probabilities = np.full((*labels.shape, segmentation.NUM_LABELS), 1 / segmentation.NUM_LABELS, np.float32)
    large = lambda maps: np.repeat(np.repeat(maps, 2, 0), 2, 1)  # noqa: E731
    found = completion.reconcile(large(coarse), large(probabilities))
    assert (found == large(completion.reconcile(coarse, probabilities))).mean() > 0.99


def test_in_the_photos_own_pose_only_what_is_exchanged_changes():
    ID, kinds = segmentation.ID, segmentation.GARMENT_TYPES
    # (own, in the final map, after: of an outfit, of a top)
    rows = [
        ("background", "left-leg", "background", "background"), ("bag", "background", "bag", "bag"),
        ("left-shoe", "background", "left-shoe", "left-shoe"),
        ("left-arm", "upper-clothes", "upper-clothes", "upper-clothes"),
        ("upper-clothes", "left-arm", "left-arm", "left-arm"), ("dress", "face", "face", "face"),
        ("pants", "left-leg", "left-leg", "pants"), ("pants", "background", "background", "pants"),
        ("pants", "upper-clothes", "upper-clothes", "upper-clothes"), ("background", "skirt", "skirt", "background"),
        ("upper-clothes", "pants", "pants", "pants"),
        # A scarf or a bag lies over whatever is put on.
        ("scarf", "upper-clothes", "scarf", "scarf"), ("scarf", "face", "scarf", "scarf"),
        ("bag", "dress", "bag", "bag"),
        ("face", "upper-clothes", "upper-clothes", "upper-clothes"),
    ]  # fmt: skip
    own, final, *expected = np.array([[ID[name] for name in row] for row in rows], np.uint8).T[:, None]
    for kind, after in zip(("outfit", "upper"), expected, strict=True):
        found = completion.in_own_pose(final, own, kinds.index(kind), np.zeros(own.shape, bool))
        np.testing.assert_array_equal(found, after)
        hands = own == ID["left-arm"]  # no sleeve covers them
        np.testing.assert_array_equal(
            completion.in_own_pose(final, own, kinds.index(kind), hands), np.where(hands, own, after)
        )
        assert found.dtype == np.uint8


def test_pieces_of_limbs_and_cloth_that_hang_together_with_nobody_are_gone():
    final = person(0.5, 1.2).segmentation.astype(np.uint8)
    np.testing.assert_array_equal(completion.without_islands(final), final)
    apart = final.copy()
    ID = segmentation.ID
    free = [(4, 4, "left-arm"), (4, 40, "skirt"), (40, 4, "left-shoe"), (80, 4, "hair"), (120, 4, "bag")]
    for row, column, name in free:
        assert not final[row : row + 9, column : column + 9].any()
        apart[row : row + 9, column : column + 9] = ID[name]
    apart[40:43, 4:13] = ID["left-leg"]  # with an ankle
    found = completion.without_islands(apart)
    assert not found[:20, :60].any() and found.dtype == np.uint8
    apart[:20, :60] = 0
    np.testing.assert_array_equal(found, apart)
    nobody = np.zeros_like(final)
    np.testing.assert_array_equal(completion.without_islands(nobody), nobody)
