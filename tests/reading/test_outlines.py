"""Labels that take the outline of a picture's own mask."""

import numpy as np

from vton_jax.reading import outlines


def test_nothing_outside_and_the_nearest_label_inside():
    labels = np.zeros((20, 20), np.uint8)
    labels[5:9, 4:14] = 4
    labels[9:15, 4:18] = 6  # beyond the mask at the right, short of it below
    mask = np.zeros((20, 20), bool)
    mask[4:18, 3:15] = True
    kept = outlines.keep(labels, mask)
    np.testing.assert_array_equal(kept > 0, mask)
    assert (kept[4, 5:13] == 4).all() and (kept[16:18, 5:13] == 6).all()
    np.testing.assert_array_equal(kept[5:15, 4:14], labels[5:15, 4:14])
    assert not outlines.keep(np.zeros_like(labels), mask).any()
