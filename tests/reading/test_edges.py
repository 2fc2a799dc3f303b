"""Label probabilities that follow a picture's edges."""

import numpy as np
import pytest

from vton_jax.reading import edges


def halves(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture of two colours with a slanted edge, whose side each pixel is on, and probabilities that are blurred."""
    rows, columns = np.mgrid[:side, :side]
    distance = (columns - side / 2 - 0.3 * (rows - side / 2)) / side * 256
    truth = distance > 0
    picture = np.where(truth[..., None], (200, 60, 50), (70, 90, 160)).astype(np.uint8)
    one = 1 / (1 + np.exp(-distance / 3))
    bent = 1 / (1 + np.exp(-(distance + 2.5) / 3))  # its edge lies beside the picture's
    return picture, truth, np.stack([1 - bent, bent, 0 * one], -1).astype(np.float32)


@pytest.mark.parametrize("side", [128, 256, 700])
def test_an_edge_that_was_read_beside_a_pictures_own_moves_there(side):
    picture, truth, blurred = halves(side)
    found = edges.sharpened(picture, blurred)
    wrong = lambda of: ((of[..., 1] > 0.5) != truth).sum()  # noqa: E731
    assert wrong(found) < 0.25 * wrong(blurred)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    assert found.min() >= 0 and not found[..., 2].any()


def test_an_even_picture_says_nothing_but_its_surroundings():
    picture = np.full((256, 192, 3), 120, np.uint8)
    sure = np.zeros((256, 192, 2), np.float32)
    sure[..., 1] = 1
    np.testing.assert_allclose(edges.sharpened(picture, sure), sure, atol=1e-6)


def test_the_slow_filter_says_the_same():
    """Every window's linear fit by least squares with a ridge, one by one, and their mean at each pixel."""
    generator = np.random.default_rng(3)
    size, reach = 24, 2
    picture = generator.integers(0, 256, (size, size, 3)).astype(np.uint8)
    labels = generator.dirichlet(np.ones(2), (size, size)).astype(np.float32)
    window = max(1, round(edges.PROPORTIONS.reach * size))
    colours = picture / 255.0
    fits = {}
    reach = 2 * window
    middle = slice(reach, size - reach)
    for row in range(window, size - window):
        for column in range(window, size - window):
            part = np.s_[row - window : row + window + 1, column - window : column + window + 1]
            inputs, values = colours[part].reshape(-1, 3), labels[part][..., 0].ravel()
            centred = inputs - inputs.mean(0)
            matrix = centred.T @ centred / len(centred) + edges.PROPORTIONS.softness * np.eye(3)
            slope = np.linalg.solve(matrix, centred.T @ (values - values.mean()) / len(centred))
            fits[row, column] = np.append(slope, values.mean() - slope @ inputs.mean(0))
    expected = np.zeros((size, size))
    for row in range(reach, size - reach):
        for column in range(reach, size - reach):
            near = [
                fits[r, c]
                for r in range(row - window, row + window + 1)
                for c in range(column - window, column + window + 1)
            ]
            expected[row, column] = np.append(colours[row, column], 1) @ np.mean(near, 0)
    found = edges.sharpened(picture, labels)
    first, second = np.clip(expected, 0, 1), np.clip(1 - expected, 0, 1)
    np.testing.assert_allclose(found[middle, middle, 0], (first / (first + second))[middle, middle], atol=1e-3)
