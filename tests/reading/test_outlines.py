"""Outlines by a picture's own mask, and by its colours where the network doubts."""

import numpy as np
import pytest

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


def test_a_mask_is_one_piece_without_small_holes():
    there = np.zeros((60, 60), bool)
    there[10:50, 10:40], there[20:22, 20:24], there[30:40, 20:30], there[5:8, 50:55] = True, False, False, True
    truth = np.zeros((60, 60), bool)
    truth[10:50, 10:40], truth[30:40, 20:30] = True, False
    np.testing.assert_array_equal(outlines.one_piece(there), truth)
    assert not outlines.one_piece(np.zeros((9, 9), bool)).any()


def trousers(size=(200, 160)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture of blue trousers on brown ground, their mask, and a reading that doubts what lies between the legs."""
    generator = np.random.default_rng(5)
    truth = np.zeros(size, bool)
    truth[20:180, 40:120] = True
    truth[70:180, 65:95] = False
    picture = np.where(truth[..., None], (40, 60, 120), (150, 110, 70)) + generator.normal(0, 6, (*size, 3))
    probability = np.where(truth, 0.995, 0.01)
    probability[70:150, 65:95] = 0.8
    return np.clip(picture, 0, 255).astype(np.uint8), truth, probability


def test_where_the_network_doubts_colours_decide():
    picture, truth, probability = trousers()
    np.testing.assert_array_equal(outlines.cut_out(picture, probability), truth)
    large = np.repeat(np.repeat(picture, 3, 0), 3, 1), np.repeat(np.repeat(probability, 3, 0), 3, 1)
    found = outlines.cut_out(*large)
    assert found.shape == (600, 480) and (found == np.repeat(np.repeat(truth, 3, 0), 3, 1)).mean() > 0.98


def test_between_legs_colours_decide_however_sure_the_network_is():
    picture, truth, probability = trousers()
    probability[70:150, 65:95] = 0.97
    wedge = outlines.cut_out(picture, probability)
    assert wedge[75:145, 70:90].all()  # of a skirt, say, its print
    np.testing.assert_array_equal(outlines.cut_out(picture, probability, legs=True), truth)
    whole = truth.copy()
    whole[20:180, 40:120] = True  # cloth all over: nothing goes
    plain = np.where(whole[..., None], picture[60, 50], picture[5, 5]).astype(np.uint8)
    np.testing.assert_array_equal(outlines.cut_out(plain, np.where(whole, 0.995, 0.01), legs=True), whole)
    assert not outlines._between_legs(np.zeros((9, 9), bool)).any()


def test_where_colours_tell_another_story_the_network_is_believed():
    """A shadow falls over half of garment and ground; GrabCut alone would cut along it."""
    picture, _, probability = trousers()
    shaded = np.where(np.arange(160)[None, :, None] < 85, 200, 90) + np.random.default_rng(0).normal(
        0, 3, picture.shape
    )
    found = outlines.cut_out(shaded.astype(np.uint8), np.where(probability > 0.5, 0.85, 0.2))  # nothing is sure
    np.testing.assert_array_equal(found, outlines.one_piece(probability > 0.5))


def test_nothing_and_everything_are_left_as_they_are():
    picture, *_ = trousers()
    assert not outlines.cut_out(picture, np.zeros(picture.shape[:2])).any()
    assert outlines.cut_out(picture, np.ones(picture.shape[:2])).all()


@pytest.mark.parametrize("inside", [0.0, 1.0])
def test_too_few_pixels_have_no_colours(inside):
    """Cloth that fills its picture but for a few pixels, and a speck of it."""
    picture, *_ = trousers()
    probability = np.full(picture.shape[:2], inside)
    probability[100:102, 80] = 1 - inside
    found = outlines.cut_out(picture, probability)
    assert found.mean() == pytest.approx(inside, abs=1e-3)
