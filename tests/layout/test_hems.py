"""Skirts are one tube with an even hem; what is no skirt stays."""

import numpy as np
import pytest

from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.core.types import Layout
from vton_jax.layout import hems

SIZE, HIPS = (128, 96), 50


def pose(visible=True):
    points, seen = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for side, x in (("left", 54), ("right", 42)):
        points[JOINTS[f"{side}-hip"]], seen[JOINTS[f"{side}-hip"]] = (x, HIPS), visible
    return Layout(None, points, seen)


def person(kind="skirt", tilt=0.0):
    """Somebody whose skirt widens from row 46 to an even hem about row 80; legs and an arm before it."""
    labels = np.zeros(SIZE, np.uint8)
    row, column = np.mgrid[: SIZE[0], : SIZE[1]]
    labels[20:50, 36:60] = ID["upper-clothes"]
    labels[46:116, 38:46], labels[46:116, 50:58] = ID["right-leg"], ID["left-leg"]
    half = 12 + 0.25 * (row - 46)
    skirt = (abs(column - 47.5) < half) & (row >= 46) & (row < 80 + tilt * (column - 47.5))
    labels[skirt] = ID[kind]
    labels[40:62, 62:67] = ID["left-arm"]
    return labels


@pytest.mark.parametrize("tilt", [0.0, 0.25])
@pytest.mark.parametrize("kind", ["skirt", "dress"])
def test_a_skirt_that_follows_the_legs_is_one_tube_with_an_even_hem(kind, tilt):
    truth = person(kind, tilt)
    ragged, row = truth.copy(), np.arange(SIZE[0])[:, None]
    gap = (row > 62) & (np.arange(SIZE[1]) > 45) & (np.arange(SIZE[1]) < 50)
    notch = (row > 74) & (np.arange(SIZE[1]) > 38) & (np.arange(SIZE[1]) < 43)
    ragged[(gap | notch) & (truth == ID[kind])] = 0
    ragged[80:88, 50:54] = ID[kind]  # and goes on over a leg
    out = hems.even(ragged, pose())
    assert (ragged != truth).sum() > 100 and (out != truth).sum() < 0.5 * (ragged != truth).sum()
    skirt, columns = out == ID[kind], np.arange(36, 60)
    ends = SIZE[0] - 1 - skirt[::-1, columns].argmax(0)
    assert abs(ends - (79 + tilt * (columns - 47.5))).max() <= 3.5
    assert (
        skirt[HIPS:].sum(1) == [np.ptp(np.flatnonzero(line)) + 1 if line.any() else 0 for line in skirt[HIPS:]]
    ).all()
    assert np.isin(out[out != truth], (0, ID["left-leg"], ID["right-leg"], ID[kind])).all()
    np.testing.assert_array_equal(out[:HIPS], ragged[:HIPS])


@pytest.mark.parametrize("tilt", [0.0, 0.25])
def test_an_even_skirt_stays_and_so_does_what_is_before_it(tilt):
    truth = person(tilt=tilt)
    out = hems.even(truth, pose())
    assert (out != truth).sum() <= 10
    np.testing.assert_array_equal(out == ID["left-arm"], truth == ID["left-arm"])


def test_what_is_no_skirt_stays():
    trousers = person()
    trousers[trousers == ID["skirt"]] = 0
    trousers[46:110, 38:46], trousers[46:110, 50:58] = ID["pants"], ID["pants"]
    for labels, joints in ((trousers, pose()), (person(), pose(visible=False)), (np.zeros(SIZE, np.uint8), pose())):
        np.testing.assert_array_equal(hems.even(labels, joints), labels)
    short = person()
    short[52:80][short[52:80] == ID["skirt"]] = 0  # too little hangs below the hips to say
    np.testing.assert_array_equal(hems.even(short, pose()), short)


@pytest.mark.parametrize("tilt", [0.0, 0.2])
def test_a_top_ends_evenly_over_what_is_below_it(tilt):
    row, column = np.mgrid[: SIZE[0], : SIZE[1]]
    body, ends = (abs(column - 47.5) < 14) & (row >= 20) & (row < 110), 60 + tilt * (column - 47.5)
    truth = np.where(body, np.where(row < ends, ID["upper-clothes"], ID["pants"]), 0).astype(np.uint8)
    truth[50:80, 34:37] = ID["left-arm"]  # before both
    np.testing.assert_array_equal(hems.even_top(truth)[:, 40:], truth[:, 40:])
    ragged = truth.copy()
    ragged[57:61, 42:48][ragged[57:61, 42:48] == ID["upper-clothes"]] = ID["pants"]
    ragged[60:63, 50:55][ragged[60:63, 50:55] == ID["pants"]] = ID["upper-clothes"]
    ragged[60:90, 57:60] = ID["upper-clothes"]  # a shirt-tail: that far off it is meant
    out = hems.even_top(ragged)
    wrong = lambda labels: (labels != truth)[:, :57].sum()  # noqa: E731
    assert wrong(ragged) > 20 and wrong(out) < 0.5 * wrong(ragged)
    np.testing.assert_array_equal(out == ID["left-arm"], truth == ID["left-arm"])
    assert (out[60:90, 57:60] == ID["upper-clothes"]).mean() > 0.9
    dress = np.where(body, ID["dress"], 0).astype(np.uint8)
    np.testing.assert_array_equal(hems.even_top(dress), dress)
