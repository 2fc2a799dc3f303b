"""Thin-plate splines and shape contexts against obvious references and known movements."""

import cv2
import numpy as np
import pytest

from vton_jax.warping import thin_plate_spline
from vton_jax.warping.thin_plate_spline import Matching

SIZE = (96, 72)


def shirt(angle=0.0, shift=(0, 0), scale=1.0):
    """A T-shirt's outline, turned, moved and scaled: bool [H, W], and the matrix that did it."""
    points = np.float32(
        [[22, 20], [50, 20], [66, 40], [58, 48], [50, 38], [50, 76], [22, 76], [22, 38], [14, 48], [6, 40]]
    )
    matrix = cv2.getRotationMatrix2D((36.0, 48.0), angle, scale)
    matrix[:, 2] += shift
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return cv2.fillPoly(np.zeros(SIZE, np.uint8), [np.round(moved).astype(np.int32)], 1) > 0, matrix


def test_a_spline_leads_its_points_where_they_belong():
    rng = np.random.default_rng(0)
    start, end = rng.random((12, 2)) * 50, rng.random((12, 2)) * 50
    np.testing.assert_allclose(thin_plate_spline.fit(start, end, 0.0)(start), end, atol=1e-6)
    affine = start @ np.array([[1.1, 0.2], [-0.3, 0.9]]) + [4, -7]
    for stiffness in (0.0, 10.0):  # what bends nothing costs nothing
        spline = thin_plate_spline.fit(start, affine, stiffness)
        other = rng.random((5, 2)) * 90
        np.testing.assert_allclose(spline(other), other @ np.array([[1.1, 0.2], [-0.3, 0.9]]) + [4, -7], atol=1e-6)


def test_shape_contexts_count_the_others_about_each_point():
    points, matching = np.random.default_rng(1).random((9, 2)) * 40, Matching(angles=8)
    mean = np.mean([[np.linalg.norm(a - b) for a in points] for b in points])
    wanted = np.zeros((9, len(matching.radii) * 8))
    for i, centre in enumerate(points):
        for j, other in enumerate(points):
            distance = np.linalg.norm(other - centre) / mean
            rings = [ring for ring, edge in enumerate(matching.radii) if distance <= edge]
            if i != j and rings:
                dx, dy = other - centre
                angle = int(np.floor(np.degrees(np.arctan2(dy, dx)) % 360 / 45))
                wanted[i, rings[0] * 8 + angle] += 1 / 8
    np.testing.assert_allclose(thin_plate_spline.shape_contexts(points, matching), wanted)


def test_points_find_their_own_whatever_their_order():
    points = np.random.default_rng(2).random((20, 2)) * 40
    order = np.random.default_rng(3).permutation(20)
    np.testing.assert_array_equal(thin_plate_spline.match(points, points[order])[order], np.arange(20))


@pytest.mark.parametrize("movement", [{}, {"shift": (3, -5)}, {"scale": 0.8}, {"angle": 8.0, "shift": (2, 1)}])
def test_the_flow_undoes_a_movement(movement):
    source, _ = shirt()
    target, matrix = shirt(**movement)
    flow = thin_plate_spline.flow(source, target)
    inverse = cv2.invertAffineTransform(matrix)
    ys, xs = np.nonzero(cv2.erode(target.astype(np.uint8), np.ones((5, 5))))
    points = np.stack([xs, ys], -1)
    wanted = points @ inverse[:, :2].T + inverse[:, 2] - points
    error = np.linalg.norm(flow[ys, xs] - wanted, axis=-1)
    assert flow.shape == (*SIZE, 2) and flow.dtype == np.float32
    # Matches are as exact as the points of an outline are apart.
    apart = cv2.arcLength(cv2.findContours(target.astype(np.uint8), 0, cv2.CHAIN_APPROX_NONE)[0][0], True) / 64
    assert error.mean() < apart


def test_nothing_moves_where_there_is_nothing():
    source, _ = shirt()
    for pair in ((source, np.zeros(SIZE, bool)), (np.zeros(SIZE, bool), source)):
        assert not thin_plate_spline.flow(*pair).any()
