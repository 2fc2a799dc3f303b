"""Trousers that are kept: their legs are as wide in another pose as the photo shows them, and part where they did."""

import numpy as np
import pytest

from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.core.types import Layout
from vton_jax.layout import limbs, trouser_legs

SIZE, PANTS = (256, 192), ID["pants"]
HIP, KNEE, ANKLE = 120, 170, 220


def standing(apart=18.0, middle=96.0, facing=1):
    """Joints of somebody whose legs hang straight, so far from their middle."""
    points, visible = np.zeros((18, 2), np.float32), np.ones(18, bool)
    for side, sign in (("right", -facing), ("left", facing)):
        for name, x, y in (
            ("hip", 10, HIP), ("knee", apart, KNEE), ("ankle", apart, ANKLE), ("shoulder", 18, 55),
            ("elbow", 24, 88), ("wrist", 25, 118), ("eye", 4, 28), ("ear", 7, 30),
        ):  # fmt: skip
            points[JOINTS[f"{side}-{name}"]] = middle + sign * x, y
    points[JOINTS["nose"]], points[JOINTS["neck"]] = (middle, 33), (middle, 52)
    return points, visible


def trousers(joints, half=9.0, crotch=140):
    """Trousers whose legs are so wide about their bones; above the crotch they are one."""
    points, _ = joints
    labels, (y, x) = np.zeros(SIZE, np.uint8), np.indices(SIZE)
    grid = np.stack([x, y], -1).reshape(-1, 2).astype(np.float32)
    for side in ("right", "left"):
        chain = points[[JOINTS[f"{side}-{name}"] for name in ("hip", "knee", "ankle")]]
        down, across, _ = limbs.nearest(grid, chain)
        labels[((np.abs(across) <= half) & (down >= 0) & (down <= 2)).reshape(SIZE) & (y < ANKLE)] = PANTS
    rows = labels.any(1)
    for row in np.flatnonzero(rows[:crotch]):
        columns = np.flatnonzero(labels[row])
        labels[row, columns[0] : columns[-1] + 1] = PANTS
    return labels


def layout(labels, joints):
    return Layout(labels, *joints)


def gap(labels, row):
    """Columns of ground between legs."""
    columns = np.flatnonzero(labels[row] == PANTS)
    return columns[-1] + 1 - columns[0] - len(columns)


def test_the_ground_between_legs_comes_back():
    user, there = standing(), standing(apart=20, middle=80)
    photo, truth = trousers(user), trousers(there)
    baggy = trousers(there, crotch=200)
    out = trouser_legs.as_worn(baggy, layout(photo, user), layout(baggy, there))
    assert gap(baggy, 175) == 0
    for row in (160, 175, 195):
        assert gap(out, row) == pytest.approx(gap(truth, row), abs=6) and gap(out, row) > 8
    assert (out[:135] == baggy[:135]).all() and set(np.unique(out[out != baggy])) <= {0}
    assert (out[truth == PANTS] == PANTS).mean() > 0.99


def test_legs_are_no_wider_than_in_the_photo():
    user = standing()
    photo, wide = trousers(user, half=8), trousers(user, half=16)
    out = trouser_legs.as_worn(wide, layout(photo, user), layout(wide, user))
    widths = [(of[190] == PANTS).sum() for of in (photo, out, wide)]
    assert widths[0] <= widths[1] < 1.35 * widths[0] < widths[2]
    narrow = trousers(user, half=6)
    assert (trouser_legs.as_worn(narrow, layout(photo, user), layout(narrow, user)) == narrow).all()


def test_people_who_look_away_have_their_legs_the_other_way_around():
    user, there = standing(), standing(facing=-1)
    photo, baggy = trousers(user), trousers(there, crotch=200)
    out = trouser_legs.as_worn(baggy, layout(photo, user), layout(baggy, there))
    assert gap(out, 175) > 8 and (out == out[:, ::-1]).mean() > 0.98


def test_what_the_photo_does_not_show_says_nothing():
    user = standing()
    baggy = trousers(user, half=14, crotch=200)
    for photo in (
        trousers(user, half=14, crotch=215),
        np.zeros(SIZE, np.uint8),
    ):  # a long gown of trousers; none at all
        around = np.where(photo == 0, ID["upper-clothes"], photo).astype(np.uint8)  # a coat hides their outer sides
        out = trouser_legs.as_worn(baggy, layout(around, user), layout(baggy, user))
        assert (out == baggy).all()
    points, visible = user
    hidden = points, visible & (np.arange(18) != JOINTS["left-knee"])
    assert trouser_legs.as_worn(baggy, layout(trousers(user), hidden), layout(baggy, user)) is baggy


def test_no_leg_is_lost_whose_joints_were_read_on_the_other():
    user, there = standing(), standing()
    points, visible = user
    wrong = points.copy()
    for name in ("knee", "ankle"):
        wrong[JOINTS[f"left-{name}"]] = points[JOINTS[f"right-{name}"]]
    final = trousers(there)
    out = trouser_legs.as_worn(final, layout(trousers(user), (wrong, visible)), layout(final, there))
    assert (out == PANTS).sum() > 0.85 * (final == PANTS).sum()


def test_slits_of_a_pixel_or_two_are_closed():
    user = standing()
    torn = trousers(user)
    torn[150:200, 113:115] = 0
    out = trouser_legs.as_worn(torn, layout(trousers(user), user), layout(torn, user))
    assert (out[150:200, 113:115] == PANTS).all() and gap(out, 175) > 8
