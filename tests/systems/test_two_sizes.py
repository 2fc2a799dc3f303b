"""Thresholds are fractions of people and frames: a small try-on, from layouts to a picture, at two sizes."""

import types

import numpy as np
from capsule_people import compose, person

from vton_jax.compositing import backdrops, ends, full_size, kept_parts, normalisation
from vton_jax.core import framing, keypoints, segmentation
from vton_jax.core.types import Dressed, Layout, User
from vton_jax.layout import completion

SIZES = (256, 192), (128, 96)


def small_try_on(size):
    """(coarse map, labels with their holes filled, picture) of three people, everything read at one size."""

    def read(layout):
        labels = framing.resize(layout.segmentation, size, nearest=True)
        return Layout(labels, keypoints.scale(layout.keypoints, SIZES[0], size), layout.visible)

    user, donor, pose = map(read, (person(0.5, 2.0), person(1.9, 2.0), person(0.5, 2.0, turn=0.2, x=100.0)))
    coarse = np.asarray(compose(user, donor, pose, 0)[0])
    even = np.full((*size, segmentation.NUM_LABELS), 1 / segmentation.NUM_LABELS, np.float32)
    final = completion.reconcile(coarse, even)
    rows, columns = np.mgrid[: size[0], : size[1]] / np.array(size).reshape(2, 1, 1)
    background = np.stack([rows, columns, 1 - rows], -1)
    colours = segmentation.PALETTE[user.segmentation] / 255
    photo = np.where(user.segmentation[..., None] > 0, colours, background).astype(np.float32)
    worn = User(photo, user, None, np.ones(size, bool), backdrops.backdrop(photo, user.segmentation))
    nothing, flow = np.zeros(size, np.float32), np.zeros((*size, 2), np.float32)
    head = kept_parts.carried_head(worn, pose)
    labels = kept_parts.with_head(final, head)
    dressed = Dressed(np.full((*size, 3), 0.5, np.float32), labels, flow, nothing, nothing, flow, nothing)
    return coarse, final, ends.restore(dressed, worn, pose, head, 0).image


def test_a_small_try_on_is_the_same_at_two_sizes():
    (coarse, final, image), small = map(small_try_on, SIZES)
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
    """Somebody in half of a photo, aside: the photo lies in the same part of the frame, whatever the frame's size."""
    reader = types.SimpleNamespace(stand_of=lambda picture: normalisation.Stand(0.2, 0.9, 0.4))
    place, _ = normalisation.normalisation_of(reader, [np.zeros((64, 48, 3), np.uint8)])
    for axis in (0, 1):
        edges = [
            np.flatnonzero(place.shown(size).any(axis))[[0, -1]] / size[1 - axis] for size in ((256, 192), (1024, 768))
        ]
        np.testing.assert_allclose(*edges, atol=1 / 192)
