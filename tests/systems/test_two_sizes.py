"""Thresholds are fractions of people and frames: a small try-on, from layouts to a picture, at two sizes."""

import numpy as np
import pytest

from vton_jax.compositing import full_size, kept_parts, normalisation
from vton_jax.core import framing, keypoints, segmentation
from vton_jax.core.types import Dressed, Layout, User
from vton_jax.layout import coarse_map, completion
from vton_jax.mannequin import cases

SIZES = (256, 192), (128, 96)


@pytest.fixture(scope="module")
def case():
    """A mannequin with truth at the larger size: user, donor and pose image are three people."""
    drawn = cases.draw_cases(12, SIZES[0], 5, "validation")
    upper = np.flatnonzero((drawn["garment_type"] == 0) & ~drawn["flat"])
    return {name: np.asarray(values[upper[0]]) for name, values in drawn.items()}


def small_try_on(case, size):
    """(coarse map, labels with their holes filled, picture) of one size, everything read at that size."""

    def layout(who):
        labels = framing.resize(case[f"{who}_segmentation"], size, nearest=True)
        return Layout(labels, keypoints.scale(case[f"{who}_keypoints"], SIZES[0], size), case[f"{who}_visible"])

    user, donor, pose = map(layout, ("input", "donor", "pose"))
    coarse = np.asarray(coarse_map.coarse_target_segmentation(user, donor, pose, "upper")[0])
    even = np.full((*size, segmentation.NUM_LABELS), 1 / segmentation.NUM_LABELS, np.float32)
    final = completion.reconcile(coarse, even)
    photo = framing.resize(case["input_image"], size).astype(np.float32) / 255
    backdrop = kept_parts.backdrop(photo, user.segmentation)
    worn = User(photo, user, None, np.ones(size, bool), backdrop)
    nothing, flow = np.zeros(size, np.float32), np.zeros((*size, 2), np.float32)
    painted = np.full((*size, 3), 0.5, np.float32)
    head = kept_parts.carried_head(worn, pose)
    dressed = Dressed(painted, kept_parts.with_head(final, head), flow, nothing, nothing, flow, nothing)
    return coarse, final, kept_parts.restore(dressed, worn, pose, head, 0).image


def test_a_small_try_on_is_the_same_at_two_sizes(case):
    (coarse, final, image), small = small_try_on(case, SIZES[0]), small_try_on(case, SIZES[1])
    reduced = [framing.resize(one, SIZES[1], nearest=one.ndim == 2) for one in (coarse, final, image)]
    for large, other in zip(reduced[:2], small[:2], strict=True):
        assert (large == other).mean() > 0.97
    person = (small[1] > 0) | (reduced[1] > 0)
    same = np.abs(reduced[2] - small[2]).mean(-1)
    assert same[~person].mean() < 0.01 and same[person].mean() < 0.04


def test_outlines_are_as_sharp_at_two_sizes():
    """A part enlarged from two maps of one picture, to one size."""
    parts = np.zeros(SIZES[0], np.uint8)
    parts[64:192, 48:144] = segmentation.ID["upper-clothes"]
    grown = []
    for size in SIZES:
        labels = framing.resize(parts, size, nearest=True)
        picture = (labels > 0).astype(np.float32)[..., None].repeat(3, -1)
        grown.append(full_size.grow(picture, labels, (512, 384)))
    assert np.abs(grown[0] - grown[1]).mean() < 0.01


def test_people_are_normalised_alike_at_two_sizes():
    """A speck of three rows at the lower edge is a person who goes on, whatever the size."""
    assert framing.pixels(normalisation.CHOSEN.lowest, 256) == 3
    assert framing.pixels(normalisation.CHOSEN.lowest, 1024) == 12
