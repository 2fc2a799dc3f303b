"""Fitting pictures to a size: pixels and points go to the same places and come back."""

import numpy as np
import pytest
from media_samples import gradient

from vton_jax.core import framing


@pytest.mark.parametrize("source", [(96, 64), (64, 96), (200, 20), (256, 192), (40, 500)])
def test_fit_and_restore(source):
    image = gradient(*source)
    fitted, placement = framing.fit(image, (128, 96))
    assert fitted.shape == (128, 96, 3) and fitted.dtype == np.uint8
    restored = placement.restore(fitted)
    assert restored.shape == image.shape
    assert np.abs(restored.astype(int) - image).mean() < 12
    points = np.array([[0, 0], [source[1] - 1, source[0] - 1], [3.5, 7.25]], np.float32)
    np.testing.assert_allclose(placement.restore_points(placement.points(points)), points, atol=1e-3)


def test_fit_puts_points_where_it_puts_pixels():
    image = np.zeros((100, 60, 3), np.uint8)
    image[40:44, 20:24] = 255
    fitted, placement = framing.fit(image, (200, 300))
    y, x = np.nonzero(fitted[..., 0] > 127)
    expected = placement.points(np.array([21.5, 41.5]))
    np.testing.assert_allclose([x.mean(), y.mean()], expected, atol=0.05)
    assert placement.scale == 2 and placement.offset == (0, 90)


def test_fit_fills():
    image = np.full((20, 10, 3), (5, 6, 7), np.uint8)
    assert np.unique(framing.fit(image, (20, 20))[0].reshape(-1, 3), axis=0).tolist() == [[5, 6, 7]]
    padded, _ = framing.fit(image, (20, 20), fill=255)
    assert padded[0, 0].tolist() == [255, 255, 255] and padded[0, 10].tolist() == [5, 6, 7]
    labels = np.random.default_rng(0).integers(0, 18, (33, 21)).astype(np.uint8)
    fitted, placement = framing.fit(labels, (64, 64), fill=0, nearest=True)
    assert set(np.unique(fitted)) <= set(range(18))
    np.testing.assert_array_equal(placement.restore(fitted, nearest=True), labels)
