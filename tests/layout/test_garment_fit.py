"""The body in a flat garment: it lies through the joints that were read, and misread ones do not fold it."""

import numpy as np
import pytest

from vton_jax.core import keypoints
from vton_jax.core.keypoints import ID, JOINTS
from vton_jax.layout import garment_fit
from vton_jax.layout.body import PROPORTIONS as BODY

HEIGHT = 200.0
TRUNK = ("neck", "left-shoulder", "right-shoulder", "left-hip", "right-hip")


def worn(turn=0.0, sleeve=0.0, *, wide=0.25, end=0.325):
    """Joints of a top of somebody 200 pixels tall, turned in the picture, and its mask; `sleeve`: its length. It is as
    long and wide as tops are, or `wide`, and ends so far below the shoulders."""
    points, rotation = np.zeros((18, 2)), np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    for name in TRUNK:
        sign = {"left": 1, "right": -1}.get(name.split("-")[0], 0)
        down, aside = (BODY.torso, BODY.hip_distance) if "hip" in name else (0.0, BODY.shoulder_distance)
        points[ID[name]] = rotation @ [sign * aside / 2 * HEIGHT, down * HEIGHT] + 128
    row, column = np.mgrid[:256, :256]
    x, y = np.moveaxis((np.stack([column, row], -1) - 128) @ rotation, -1, 0) / HEIGHT
    mask = (abs(x) < wide / 2) & (y > -0.02) & (y < end)
    mask |= (abs(x) < wide / 2 + sleeve) & (abs(y - 0.05) < 0.04)
    return points, mask


def probability(names):
    found = np.zeros(18)
    found[[ID[name] for name in names]] = 0.9
    return found


@pytest.mark.parametrize("turn", [0.0, 0.6, np.pi])
def test_one_misread_joint_is_replaced(turn):
    points, mask = worn(turn)
    wrong = points.copy()
    wrong[ID["left-hip"]] = points[ID["right-shoulder"]]
    joints, given = garment_fit.wearer(wrong, probability(TRUNK), "upper", mask)
    assert np.linalg.norm(joints[ID["left-hip"]] - points[ID["left-hip"]]) < 0.06 * HEIGHT
    np.testing.assert_allclose(joints[ID["neck"]], points[ID["neck"]], atol=1e-3)
    assert set(np.flatnonzero(given)) == {ID[n] for n in (*TRUNK, *(f"{s}-{j}" for s in ("left", "right")
                                                                    for j in ("elbow", "wrist")))}  # fmt: skip


@pytest.mark.parametrize(("wide", "end"), [(0.4, 0.325), (0.25, 0.22), (0.25, 0.5)])
def test_a_boxy_a_cropped_and_a_long_top_have_wearers_of_usual_height(wide, end):
    """Two of three agree: what was read, how long it lies and how wide."""
    points, mask = worn(wide=wide, end=end)
    joints, _ = garment_fit.wearer(points, probability(TRUNK), "upper", mask)
    torso = joints[ID["left-hip"]] - joints[ID["left-shoulder"]]
    assert torso[1] == pytest.approx(BODY.torso * HEIGHT, rel=0.06)


@pytest.mark.parametrize("half", [0.5, 1.7])
def test_joints_that_say_another_size_are_outvoted_by_the_cloth(half):
    points, mask = worn()
    wrong = points.copy()
    for name in TRUNK:
        wrong[ID[name]] = points[ID["neck"]] + half * (points[ID[name]] - points[ID["neck"]])
    joints, _ = garment_fit.wearer(wrong, probability(TRUNK), "upper", mask)
    torso = joints[ID["left-hip"]] - joints[ID["left-shoulder"]]
    assert torso[1] == pytest.approx(BODY.torso * HEIGHT, rel=0.08)


def test_shoulders_that_are_exchanged_do_not_mirror_it():
    points, mask = worn()
    swapped = points.copy()
    swapped[[ID["left-shoulder"], ID["right-shoulder"]]] = points[[ID["right-shoulder"], ID["left-shoulder"]]]
    joints, _ = garment_fit.wearer(swapped, probability(TRUNK), "upper", mask)
    assert joints[ID["right-shoulder"], 0] < joints[ID["neck"], 0] < joints[ID["left-shoulder"], 0]
    assert joints[ID["left-hip"], 1] > joints[ID["neck"], 1]


def test_arms_go_where_cloth_is_beside_the_shoulder():
    points, mask = worn(sleeve=0.12)
    joints, _ = garment_fit.wearer(points, probability(TRUNK), "upper", mask)
    arm = joints[ID["left-elbow"]] - joints[ID["left-shoulder"]]
    assert np.linalg.norm(arm) == pytest.approx(BODY.upper_arm * HEIGHT, rel=0.05)
    assert 0 < np.degrees(np.arctan2(arm[1], arm[0])) < 50
    # Without a sleeve they are clear of the cloth.
    points, mask = worn()
    joints, _ = garment_fit.wearer(points, probability(TRUNK), "upper", mask)
    for joint in ("left-elbow", "left-wrist", "right-elbow", "right-wrist"):
        x, y = np.rint(joints[ID[joint]]).astype(int)
        assert not mask[y, x]
    sure, _ = garment_fit.wearer(points, probability(TRUNK), "upper", worn(sleeve=0.12)[1], sleeves="none")
    np.testing.assert_allclose(sure, joints)


@pytest.mark.parametrize("astray", [-0.05, 0.0, 0.05])
def test_a_short_sleeve_ends_half_way_down_the_upper_arm(astray):
    """However far out the shoulder was read: it gives way."""
    points, mask = worn(sleeve=0.1)
    for side, sign in (("left", 1), ("right", -1)):
        points[ID[f"{side}-shoulder"]] += [sign * astray * HEIGHT, 0.05 * HEIGHT]
    joints, _ = garment_fit.wearer(points, probability(TRUNK), "upper", mask, sleeves="short")
    for side, sign in (("left", 1), ("right", -1)):
        shoulder, elbow = joints[ID[f"{side}-shoulder"]], joints[ID[f"{side}-elbow"]]
        end = (128 + sign * 0.225 * HEIGHT - shoulder[0]) / (elbow - shoulder)[0]
        assert 0.4 < end < 0.8


def test_how_far_sleeves_reach_by_what_they_probably_are():
    bounds = garment_fit.sleeve_bounds
    np.testing.assert_allclose(bounds([0.05, 0.9, 0.03, 0.02]), garment_fit.THRESHOLDS.short)
    np.testing.assert_allclose(bounds([0.0, 0.5, 0.45, 0.05]), (0.45, 1.5))  # unsure: what the picture shows, between
    np.testing.assert_allclose(bounds([0.97, 0.01, 0.01, 0.01]), (0, 0))
    assert bounds(np.ones(4))[0] == 0 and bounds(np.ones(4))[1] > 1.95


def trousers(length, spread, turn=0.0):
    """The mask of trousers of somebody 200 pixels tall, that reach down the leg to a place `length`, legs spread."""
    row, column = np.mgrid[:320, :320]
    x, y = np.moveaxis((np.stack([column, row], -1) - 160) @ np.array(
        [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]), -1, 0) / HEIGHT  # fmt: skip
    y = y + 0.3
    mask = (abs(x) < 0.14) & (y > 0) & (y < 0.2)
    for sign in (1, -1):
        middle = sign * (0.07 + spread * np.maximum(y - 0.1, 0))
        mask |= (abs(x - middle) < 0.07) & (y > 0.1) & (y < 0.1 + length * BODY.thigh / np.hypot(1, spread))
    return mask


@pytest.mark.parametrize("turn", [0.0, 0.5, np.pi])
@pytest.mark.parametrize("length, spread", [(2.0, 0.0), (2.0, 0.25), (1.2, 0.0), (0.7, 0.1)])
def test_legs_are_as_long_as_their_outline_says(length, spread, turn):
    """Whatever joints were read: networks take the hem of shorts for the ankles."""
    mask = trousers(length, spread, turn)
    points = np.zeros((18, 2))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    read = ("left-hip", "right-hip", "left-ankle", "right-ankle")
    for name in read:
        sign, down = (1 if "left" in name else -1), 0.1 if "hip" in name else 0.1 + min(length, 0.8) * BODY.thigh
        points[ID[name]] = rotation @ (HEIGHT * np.array([sign * 0.07, down - 0.3])) + 160
    joints, given = garment_fit.wearer(points, probability(read), "lower", mask)
    assert given[[ID[name] for name in read]].all()
    for side, sign in (("left", 1), ("right", -1)):
        hip, knee, ankle = (joints[ID[f"{side}-{name}"]] for name in ("hip", "knee", "ankle"))
        wanted = rotation @ (HEIGHT * np.array([sign * 0.07, 0.1 - 0.3])) + 160
        assert np.linalg.norm(hip - wanted) < 0.02 * HEIGHT
        np.testing.assert_allclose(np.linalg.norm(knee - hip), BODY.thigh * HEIGHT, rtol=0.08)
        # The cloth ends where it should along the leg, and the leg lies in the cloth.
        for place, inside in ((0.5 * min(length, 1), True), (length - 0.12, True), (length + 0.15, False)):
            x, y = np.rint(hip + place / 2 * (ankle - hip)).astype(int)
            assert mask[y, x] == inside


@pytest.mark.parametrize("too_small", [0.6, 1.0, 1.3])
@pytest.mark.parametrize(("length", "sleeve"), [(0.5, 0.0), (0.9, 0.14)])
@pytest.mark.parametrize("turn", [0.0, 0.6, np.pi])
def test_wearers_of_dresses_are_as_tall_as_it_lies_wide(too_small, length, sleeve, turn):
    """Whatever joints were read below the shoulders, and however long it is; sleeves lie beside it, with a gap."""
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    truth = np.zeros((18, 2))
    for name in (*TRUNK, "left-knee", "right-knee", "left-ankle", "right-ankle"):
        sign = {"left": 1, "right": -1}.get(name.split("-")[0], 0)
        joint = name.split("-")[-1]
        down = {"hip": BODY.torso, "knee": BODY.torso + BODY.thigh, "ankle": BODY.torso + BODY.thigh + BODY.shin}
        wide = BODY.hip_distance if joint in down else BODY.shoulder_distance
        truth[ID[name]] = [sign * wide / 2, down.get(joint, BODY.neck_to_shoulders if sign else 0.0)]
    row, column = np.mgrid[:360, :360]
    x, y = np.moveaxis((np.stack([column, row], -1) - 180) @ rotation, -1, 0) / HEIGHT
    narrowest, at = garment_fit.THRESHOLDS.dress_narrowest[2], garment_fit.THRESHOLDS.dress[1]
    half = np.interp(y, [0, 0.25 * length, 0.4 * length, length], [0.13, at / 2, narrowest / 2, 0.3])
    mask = (abs(x) < half) & (y > -0.02) & (y < length)
    mask |= (abs(abs(x) - 0.3) < 0.03) & (y > -0.02) & (y < 0.4) & (sleeve > 0)
    mask |= (abs(x) < 0.33) & (abs(y - 0.01) < 0.02) & (sleeve > 0)
    shown = lambda joints: (joints * HEIGHT) @ rotation.T + 180  # noqa: E731
    read = truth.copy()
    below = [name for name in JOINTS if name.endswith(("hip", "knee", "ankle"))]
    read[[ID[name] for name in below], 1] *= too_small
    names = [*TRUNK, *below]
    joints, given = garment_fit.wearer(shown(read), probability(names), "dress", mask)
    away = np.linalg.norm(joints - shown(truth), axis=-1)[[ID[name] for name in names]] / HEIGHT
    assert away.max() < 0.06 and given[[ID[name] for name in names]].all()


def test_an_outline_that_is_none_leaves_what_was_read():
    points, read = np.zeros((18, 2)), ("left-hip", "right-hip", "left-knee", "right-knee")
    for name in read:
        points[ID[name]] = 100 + (10 if "left" in name else -10), 100 + (50 if "knee" in name else 0)
    half = trousers(1.0, 0.0)
    half[:, 150:] = False
    for mask in (np.zeros((320, 320), bool), np.eye(320, dtype=bool) & (np.arange(320) == 9), half):
        joints, given = garment_fit.wearer(points, probability(read), "lower", mask)
        assert given.sum() == 6 and np.isfinite(joints).all()


def test_an_elbow_that_was_read_is_taken():
    points, mask = worn()
    points[ID["left-elbow"]] = points[ID["left-shoulder"]] + [10, 0.9 * BODY.upper_arm * HEIGHT]
    joints, _ = garment_fit.wearer(points, probability((*TRUNK, "left-elbow")), "upper", mask)
    np.testing.assert_allclose(joints[ID["left-elbow"]], points[ID["left-elbow"]], atol=1e-3)
    assert joints[ID["left-wrist"], 1] > joints[ID["left-elbow"], 1]  # and goes on in its direction


def test_what_a_garment_does_not_cover_is_missing():
    points, mask = worn()
    _, lower = garment_fit.wearer(points, probability(("left-hip", "right-hip")), "lower", mask)
    assert lower[[ID["left-ankle"], ID["left-hip"]]].all() and not lower[[ID["neck"], ID["left-wrist"]]].any()
    none, given = garment_fit.wearer(points, np.zeros(keypoints.NUM_JOINTS), "dress", mask)
    assert not given.any() and not none.any()
    with pytest.raises(ValueError, match="garment kind 'outfit'"):
        garment_fit.wearer(points, probability(TRUNK), "outfit", mask)
