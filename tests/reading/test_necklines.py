"""The inside of the back in the collars of garments laid flat."""

import cv2
import numpy as np
import pytest

from vton_jax.reading import necklines

SIZE = (256, 192)
SHOULDERS = np.float32([[56, 60], [136, 60]])


def top(panel=(90, 30, 40), depth=18, half=17, noise=2.0, band=0):
    """(a red top laid flat, its mask, where the inside of its back shows in the collar, above a band so wide)."""
    mask, inside, collar = (np.zeros(SIZE, np.uint8) for _ in range(3))
    cv2.rectangle(mask, (46, 50), (146, 200), 1, -1)
    cv2.ellipse(inside, (96, 50), (half, depth), 0, 0, 180, 1, -1)
    cv2.ellipse(collar, (96, 50), (half + band, depth + band), 0, 0, 180, 1, -1)
    picture = np.full((*SIZE, 3), 235.0)
    picture[mask > 0] = (170, 60, 70)
    picture[(collar > 0) & (mask > 0)] = (230, 220, 120)
    picture[(inside > 0) & (mask > 0)] = panel
    picture += np.random.default_rng(0).normal(0, noise, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), mask > 0, (inside > 0) & (mask > 0)


@pytest.mark.parametrize("band", [0, 6])
def test_the_inside_of_the_back_is_found_and_a_neckband_stays(band):
    """A band that is told from both sides stays whole; where there is one edge alone one of the usual width is left."""
    picture, mask, truth = top(depth=15, half=15, band=band, panel=(200, 190, 130) if band else (90, 30, 40))
    found = necklines.opening(picture, mask, SHOULDERS)
    left = 0 if band else round(necklines.CHOSEN.neckband * 80)
    rows, columns = np.nonzero(found)
    assert rows.min() == 50 and abs(rows.max() - (65 - left)) <= 1 and (found & ~truth).sum() < 0.1 * found.sum()
    assert abs(columns.min() - (81 + left)) <= 2 and abs(columns.max() - (111 - left)) <= 2
    mirrored = necklines.opening(picture[:, ::-1], mask[:, ::-1], (SIZE[1] - 1 - SHOULDERS) * [1, 0] + [0, 60])
    assert (mirrored[:, ::-1] == found).mean() > 0.998
    large = [np.repeat(np.repeat(of, 2, 0), 2, 1) for of in (picture, mask, found)]
    assert (necklines.opening(*large[:2], SHOULDERS * 2) == large[2]).mean() > 0.995


@pytest.mark.parametrize(
    "changes",
    [
        {"panel": (170, 60, 70)},  # cloth that is even
        {"panel": (170, 60, 70), "noise": 30.0},  # and rough
        {"depth": 70, "half": 36},  # an edge that lies on the chest is a print's
    ],
)
def test_a_garment_without_one_stays_whole(changes):
    picture, mask, _ = top(**changes)
    assert not necklines.opening(picture, mask, SHOULDERS).any()


def test_without_shoulders_or_a_garment_there_is_none():
    picture, mask, _ = top()
    assert not necklines.opening(picture, mask, SHOULDERS * 0.1).any()
    assert not necklines.opening(picture, np.zeros_like(mask), SHOULDERS).any()


def test_the_path_gains_most_of_all_that_bend_so_little():
    gain = np.random.default_rng(1).uniform(0, 5, (6, 7)).astype(np.float32)
    bend, cost = necklines.CHOSEN.bend, necklines.CHOSEN.straight

    def best(row, column):
        """(what is gained from here on, the columns) the slow way."""
        if row == len(gain) - 1:
            return gain[row, column], [column]
        near = range(max(column - bend, 0), min(column + bend + 1, gain.shape[1]))
        rest = max((best(row + 1, to)[0] - cost * abs(to - column), to) for to in near)
        return gain[row, column] + rest[0], [column, *best(row + 1, rest[1])[1]]

    np.testing.assert_array_equal(necklines._path(gain), max(best(0, column) for column in range(7))[1])
