"""The geometric flow against the three-dimensional cylinder it stands for, and its invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vton_jax.core import geometry, keypoints, segmentation
from vton_jax.core.types import Garment, Layout
from vton_jax.layout.body import PROPORTIONS as P
from vton_jax.layout.body import body_of
from vton_jax.warping import geometric_flow

SIZE = (128, 96)
HEIGHT = 100.0  # pixels a body height
DRESS, PANTS = segmentation.ID["dress"], segmentation.ID["pants"]


def person(yaw: float, x: float = 48.0, neck: float = 25.0, arms: float = 0.16):
    """Joints [18, 2] of somebody who stands upright, turned by `yaw`, arms held away from the trunk."""
    joints, across = np.zeros((18, 2), np.float32), np.cos(yaw)
    set_joint = lambda name, left, down, ahead=0.0: joints.__setitem__(  # noqa: E731
        keypoints.ID[name], (x + HEIGHT * (left * across + ahead * np.sin(yaw)), neck + HEIGHT * down)
    )
    set_joint("neck", 0, 0)
    set_joint("nose", 0, -P.neck_to_nose, 0.08)
    for side, sign in (("left", 1), ("right", -1)):
        set_joint(f"{side}-eye", sign * 0.025, -0.13, 0.064)
        set_joint(f"{side}-ear", sign * 0.058, -0.12)
        set_joint(f"{side}-shoulder", sign * 0.105, P.neck_to_shoulders)
        set_joint(f"{side}-elbow", sign * (0.105 + arms), 0.07)
        set_joint(f"{side}-wrist", sign * (0.105 + 2 * arms), 0.13)
        set_joint(f"{side}-hip", sign * 0.055, P.torso)
        set_joint(f"{side}-knee", sign * 0.055, P.torso + P.thigh)
        set_joint(f"{side}-ankle", sign * 0.055, P.torso + P.thigh + P.shin)
    return joints, np.ones(18, bool)


def half_width(yaw):
    """Of an elliptic trunk as it is seen."""
    return P.trunk_half_width * HEIGHT * np.hypot(np.cos(yaw), P.trunk_depth * np.sin(yaw))


def worn(yaw, x=48.0, neck=25.0):
    """A dress [H, W] on the trunk alone, as wide as the body."""
    across, down = np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0]))
    below = (down - neck) / HEIGHT
    return (np.abs(across - x) <= half_width(yaw)) & (below > 0.1) & (below < 0.25)


@jax.jit
def flow_of(target, target_garment, source, source_garment, flat, trousers):
    worn = [
        geometric_flow.Worn(body_of(Layout(None, *joints), SIZE), garment)
        for joints, garment in ((target, target_garment), (source, source_garment))
    ]
    return geometric_flow.cylinder_flow(geometry.grid(SIZE), *worn, flat, trousers)


def flow_between(target, target_garment, source, source_garment, flat=False, trousers=None):
    trousers = np.zeros(SIZE, bool) if trousers is None else trousers
    return jax.device_get(flow_of(target, target_garment, source, source_garment, flat, trousers))


@pytest.mark.parametrize("yaw", [0.0, 0.6, -0.6, 1.0])
def test_the_trunk_turns_like_an_elliptic_cylinder(yaw):
    """Each angle of an ellipse is projected in both views, without any arc sine: what it shows there is the flow."""
    flow, shown = flow_between(person(yaw, x=44), worn(yaw, x=44), person(0.0, x=52), worn(0.0, x=52))
    width, depth = P.trunk_half_width * HEIGHT, P.trunk_depth * P.trunk_half_width * HEIGHT
    checked = 0
    for angle in np.linspace(-np.pi, np.pi, 120):
        left, ahead = width * np.sin(angle), depth * np.cos(angle)
        normal = np.array([np.sin(angle) / width, np.cos(angle) / depth])  # of the ellipse: (left, ahead)
        towards = -normal[0] * np.sin(yaw) + normal[1] * np.cos(yaw)
        target = 44 + left * np.cos(yaw) + ahead * np.sin(yaw)
        if towards / np.linalg.norm(normal) < 0.3 / width or abs(target - 44) > 0.85 * half_width(yaw):
            continue
        row, column = 25 + round(0.18 * HEIGHT), round(target)
        if np.cos(angle) < -0.3:
            assert not shown[row, column]  # the donor shows her front alone
        elif np.cos(angle) > 0.45:
            assert shown[row, column]
            # 2.2 pixels: the body's turn is read to five degrees, and the column is a whole number.
            assert abs(column + flow[row, column, 0] - (52 + left)) < 2.2
            checked += 1
    assert checked > 10


def test_the_same_picture_moves_nothing():
    flow, shown = flow_between(person(0.3), worn(0.3), person(0.3), worn(0.3))
    inside = worn(0.3)
    assert shown[inside].mean() > 0.95
    assert np.abs(flow[inside & shown]).max() < 0.6


def test_a_mirrored_scene_has_the_mirrored_flow():
    def mirrored(joints):
        return keypoints.mirror(*joints, SIZE[1])

    target, source = person(0.7, x=44), person(-0.2, x=50)
    flow, shown = flow_between(target, worn(0.7, x=44), source, worn(-0.2, x=50))
    turned, turned_shown = flow_between(
        mirrored(target), worn(0.7, x=44)[:, ::-1], mirrored(source), worn(-0.2, x=50)[:, ::-1]
    )
    inside = worn(0.7, x=44)
    difference = np.abs(turned[:, ::-1] * [-1, 1] - flow)[inside]
    # Garments are measured at every second pixel, others in the mirror; of two good parts a pixel may get either.
    assert np.quantile(difference, 0.9) < 1.0
    assert (turned_shown[:, ::-1] == shown)[inside].mean() > 0.9


def test_trouser_legs_follow_their_own_leg():
    target, source = person(0.0, x=48), person(0.0, x=48)
    knee = keypoints.ID["left-knee"], keypoints.ID["left-ankle"]
    source[0][knee[0]] += (12, 0)
    source[0][knee[1]] += (24, 0)
    across, down = np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0]))
    trousers = (np.abs(across - 48) < 11) & (down > 52) & (down < 100)
    flow, _ = flow_between(target, trousers, source, trousers, trousers=trousers)
    left, right = 48 + 0.055 * HEIGHT, 48 - 0.055 * HEIGHT
    below = 25 + round((P.torso + P.thigh + 0.5 * P.shin) * HEIGHT)
    assert abs(flow[below, round(left), 0] - 18) < 2
    assert abs(flow[below, round(right), 0]) < 1


def test_a_flat_lower_garment_goes_from_waist_to_hem():
    """Lying, it is twice as long as worn: its own hem says where the wearer's is."""
    target, source = person(0.0), person(0.0, neck=-40.0)
    across, down = np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0]))
    hips = 25 + P.torso * HEIGHT
    waist = hips - 9
    on_person = (np.abs(across - 48) < 12) & (down >= waist) & (down < waist + 40)
    lying = (np.abs(across - 48) < 12) & (down >= 20) & (down < 100)
    source[1][[j for j, name in enumerate(keypoints.JOINTS) if "hip" not in name and "knee" not in name]] = False
    flow, shown = flow_between(target, on_person, source, lying, flat=True)
    for fraction in (0.2, 0.5, 0.8):
        row = round(waist + 40 * fraction)
        assert shown[row, 48]
        assert abs(row + flow[row, 48, 1] - (20 + 80 * fraction)) < 5


def test_whatever_is_missing_it_is_finite():
    joints, _ = person(0.4)
    for seen in (np.zeros(18, bool), np.arange(18) == 1, np.arange(18) > 12):
        for garment in (np.zeros(SIZE, bool), worn(0.4)):
            flow, _ = flow_between((joints, seen), garment, (joints * 0, seen), garment, flat=bool(seen[1]))
            assert np.isfinite(flow).all()


def test_first_flow_is_the_flow_at_a_quarter_of_the_resolution():
    target, source = person(0.5), person(0.0)
    layouts = [
        Layout(np.where(worn(yaw), DRESS, 0).astype(np.uint8)[None], joints[0][None], joints[1][None])
        for yaw, joints in ((0.5, target), (0.0, source))
    ]
    garment = Garment(None, layouts[1], garment_type=jnp.array([3]), flat=jnp.array([False]))
    small, shown = jax.jit(geometric_flow.first_flow)(layouts[0], garment)
    assert small.shape == (1, 32, 24, 2) and shown.shape == (1, 32, 24)
    full, _ = flow_between(target, worn(0.5), source, worn(0.0))
    means = np.asarray(geometry.block_means(jnp.asarray(full), 4))
    inner = worn(0.5).reshape(32, 4, 24, 4).all((1, 3))
    assert inner.sum() > 10
    np.testing.assert_allclose(4 * small[0][inner], means[inner], atol=0.7)
