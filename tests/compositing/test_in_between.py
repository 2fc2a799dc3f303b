"""What moves evenly is where it should be between two frames, with all that is known of it; shots are never mixed."""

import cv2
import numpy as np
import pytest

from vton_jax.compositing import in_between
from vton_jax.core.types import Dressed, Result, Target

SIZE, SHIFT = (96, 72), 8
INNER = (slice(16, -16), slice(16, -16))


def picture(seed=0):
    """A soft texture, larger than a frame, that the frames are windows of."""
    noise = np.random.default_rng(seed).random((SIZE[0] + 32, SIZE[1] + 32, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return (soft - soft.min()) / (soft.max() - soft.min())


def result(shift, seed=0):
    """A frame whose pixels lie `shift` to the right of where the source has them, and what is known of it."""
    window = (slice(16, 16 + SIZE[0]), slice(16 - shift, 16 - shift + SIZE[1]))
    image = picture(seed)[window]
    labels = np.zeros(SIZE, np.uint8)
    labels[30:60, 20 + shift : 40 + shift] = 5
    flow = np.zeros((*SIZE, 2), np.float32)
    flow[..., 0] = -shift
    weight = image[..., 0]
    dressed = Dressed(image, labels, flow, weight, 1 - weight, flow, weight, ((flow, weight),))
    return Result(dressed, Target(labels, labels, np.zeros(3), {"start": labels}))


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.75])
def test_all_that_is_known_moves_evenly(fraction):
    before, after = result(0), result(SHIFT)
    truth = result(round(SHIFT * fraction))
    motion = in_between.motion(before.image, after.image)
    found = in_between.result(before, after, motion, fraction)
    for name, close in (
        ("image", 0.03),
        ("photo_weight", 0.03),
        ("garment_weight", 0.03),
        ("flow", 0.5),
        ("photo_flow", 0.5),
    ):
        wrong = np.abs(getattr(found.dressed, name) - getattr(truth.dressed, name))[INNER]
        assert wrong.mean() < close, name
    (flow, weight), (true_flow, true_weight) = found.dressed.besides[0], truth.dressed.besides[0]
    assert np.abs(weight - true_weight)[INNER].mean() < 0.03 and np.abs(flow - true_flow)[INNER].mean() < 0.5
    assert (found.dressed.labels == truth.dressed.labels).mean() > 0.98
    np.testing.assert_array_equal(found.target.final, found.dressed.labels)
    blend = (1 - fraction) * before.image + fraction * after.image
    moved, mixed = (np.abs(one - truth.image)[INNER].mean() for one in (found.image, blend))
    assert moved < 0.3 * mixed


def test_a_flow_leads_where_the_frames_lead():
    """The source is still: a pixel half way between two frames leads to the very pixel that it shows."""
    before, after = result(0), result(SHIFT)
    found = in_between.result(before, after, in_between.motion(before.image, after.image), 0.5)
    x, y = np.meshgrid(np.arange(SIZE[1], dtype=np.float32), np.arange(SIZE[0], dtype=np.float32))
    place = x + found.dressed.flow[..., 0], y + found.dressed.flow[..., 1]
    shown = cv2.remap(before.image, *place, cv2.INTER_LINEAR)
    assert np.abs(shown - found.image)[INNER].mean() < 0.02


def test_what_changes_in_one_place_leaves_the_others_alone():
    before, dark = result(0), result(0).image.copy()
    dark[40:56, 30:46] = 0
    after = Result(before.dressed.replace(image=dark), before.target)
    found = in_between.result(before, after, in_between.motion(before.image, dark), 0.5).image
    away = np.ones(SIZE, bool)
    away[32:64, 22:54] = False
    assert np.abs(found - before.image)[away].mean() < 0.01


@pytest.mark.parametrize("every", [1, 3])
def test_shots_are_filled_each_by_itself(every):
    results = [result(0), result(2), result(0, seed=1), result(2, seed=1)]
    filled = list(in_between.fill(iter(results), (0, 2), every))
    assert len(filled) == 4 * every
    assert filled[::every] == results
    if every > 1:
        assert all(one is results[1] for one in filled[every : 2 * every])  # stands still where the shot ends
        assert all(one is results[3] for one in filled[3 * every :])
        assert np.abs(filled[1].image - results[0].image).mean() > 0


def test_few_results_make_few_frames():
    only = result(0)
    assert list(in_between.fill(iter([only]), (0,), 2)) == [only, only] and not list(in_between.fill([], (0,), 2))


def test_results_are_made_as_they_are_asked_for():
    made = []
    results = (made.append(shift) or result(shift) for shift in range(5))
    filled = in_between.fill(results, (0,), 2)
    next(filled)
    assert made == [0]
    next(filled)
    assert made == [0, 1]
