"""Holes of coarse maps; `reconcile` is tested where it is scored, in tests/evaluate/test_ccp_layouts.py."""

import numpy as np

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
