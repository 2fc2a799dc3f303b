"""Motion: smooth from frame to frame, bones keep their lengths, and a turn shows every side."""

import numpy as np
import pytest

from vton_jax.catalogue import assets, motion, poses, skeleton

RATE = 60


def posed(pose: skeleton.Pose) -> np.ndarray:
    """Where the bones' joints [53, 3] of the neutral body come to lie, seen from their own front."""
    joints = assets.rig().joints(assets.base_mesh().vertices)
    return skeleton.posed_joints(joints, skeleton.bone_matrices(joints, pose.turned(0.0)))


@pytest.mark.parametrize("seed", range(3))
def test_it_is_smooth_and_bones_keep_their_lengths(seed):
    moves = motion.sample(np.random.default_rng(seed))
    finer = np.stack([posed(motion.pose_at(moves, time)) for time in np.arange(8 * RATE) / RATE / 2])
    places = finer[::2]
    rest, parents = assets.rig().joints(assets.base_mesh().vertices), np.array(assets.rig().parents)
    child = np.flatnonzero(parents >= 0)
    length = lambda at: np.linalg.norm(at[..., child, :] - at[..., parents[child], :], axis=-1)  # noqa: E731
    np.testing.assert_allclose(length(places), np.broadcast_to(length(rest), (len(places), len(child))), atol=1e-6)
    speed = np.linalg.norm(np.diff(places, axis=0), axis=-1) * RATE  # decimetres a second
    assert 5 < speed.max() < 60
    # Half as long a step is half as far: nothing jumps.
    assert np.linalg.norm(np.diff(finer, axis=0), axis=-1).max() < 0.6 * speed.max() / RATE


def test_a_turn_shows_every_side_and_ends_where_it_began():
    moves = motion.sample(np.random.default_rng(1), 3.0)
    yaws = np.array([motion.pose_at(moves, time).yaw for time in np.linspace(0, 3, 200)])
    steps = np.diff(yaws) * moves.direction
    assert (steps > 0).all() and abs(yaws[-1] - yaws[0]) == pytest.approx(2 * np.pi)
    assert steps[0] < 0.7 * steps[50] and steps[100] < 0.7 * steps[50]  # it lingers at the front and at the back


def test_the_stance_is_taken_once():
    moves = motion.sample(np.random.default_rng(2), 4.0)
    apart = [np.abs(posed(motion.pose_at(moves, time)) - posed(moves.stance)).max() for time in (0.0, 2.0, 3.9)]
    assert apart[1] < 1e-6 and min(apart[0], apart[2]) > 0.3


def test_between_two_poses_the_middle_is_as_far_from_both():
    one, two = poses.arms_crossed(), poses.hand_on_hip(("l", "r"))
    for part, same in ((0.0, one), (1.0, two)):
        np.testing.assert_allclose(posed(motion.between(one, two, part)), posed(same), atol=1e-9)
    middle = motion.between(one, two, 0.5).aims["upperarm_l"].direction
    angles = [np.arccos(np.dot(middle, aim) / np.linalg.norm(aim))
              for aim in (one.aims["upperarm_l"].direction, two.aims["upperarm_l"].direction)]  # fmt: skip
    assert angles[0] == pytest.approx(angles[1]) and angles[0] > 0.1


@pytest.mark.parametrize("angle", [0.0, 1e-7, 0.5, 3.0, np.pi - 1e-6, np.pi])
def test_axis_and_angle(angle):
    axis = np.array([0.6, -0.48, 0.64])
    turn = skeleton.rotation(axis, angle)
    found, by = motion.axis_and_angle(turn)
    np.testing.assert_allclose(skeleton.rotation(found, by), turn, atol=1e-4)
