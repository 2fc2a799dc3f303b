"""The body in a flat garment: it lies through the joints that were read, and misread ones do not fold it."""

import numpy as np
import pytest

from vton_jax.core import keypoints
from vton_jax.core.keypoints import ID
from vton_jax.layout import garment_fit
from vton_jax.layout.body import PROPORTIONS as BODY

HEIGHT = 200.0
TRUNK = ("neck", "left-shoulder", "right-shoulder", "left-hip", "right-hip")


def worn(turn=0.0, sleeve=0.0):
    """Joints of a top of somebody 200 pixels tall, turned in the picture, and its mask; `sleeve`: its length."""
    points, rotation = np.zeros((18, 2)), np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    for name in TRUNK:
        sign = {"left": 1, "right": -1}.get(name.split("-")[0], 0)
        down, aside = (BODY.torso, BODY.hip_distance) if "hip" in name else (0.0, BODY.shoulder_distance)
        points[ID[name]] = rotation @ [sign * aside / 2 * HEIGHT, down * HEIGHT] + 128
    row, column = np.mgrid[:256, :256]
    x, y = np.moveaxis((np.stack([column, row], -1) - 128) @ rotation, -1, 0) / HEIGHT
    mask = (abs(x) < 0.11) & (y > -0.02) & (y < 0.3)
    mask |= (abs(x) < 0.11 + sleeve) & (abs(y - 0.05) < 0.04)
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
    sure, _ = garment_fit.wearer(points, probability(TRUNK), "upper", np.ones_like(mask), sleeveless=True)
    np.testing.assert_allclose(sure, joints)


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
