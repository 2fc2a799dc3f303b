"""Keypoints: the joint table, mirroring, scaling, and pose maps there and back."""

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import keypoints

# Compiled whole: each operation by itself takes longer to compile than to run.
pose_map = jax.jit(keypoints.pose_map, static_argnums=(2, 3))


def _people(seed=0, people=3, size=(64, 48)):
    generator = np.random.default_rng(seed)
    points = generator.uniform(6, np.array(size[::-1]) - 7, (people, 18, 2)).astype(np.float32)
    visible = generator.random((people, 18)) < 0.8
    return points * visible[..., None], visible


def test_table():
    assert len(set(keypoints.JOINTS)) == 18 and len(keypoints.BONES) == 17
    # OpenPose COCO-18: the order in which every detector's file lists them.
    assert [keypoints.ID[n] for n in ("nose", "neck", "right-shoulder", "left-shoulder", "right-hip", "left-hip")] == [
        0, 1, 2, 5, 8, 11,
    ]  # fmt: skip
    assert keypoints.MIRROR[keypoints.ID["left-ear"]] == keypoints.ID["right-ear"]
    np.testing.assert_array_equal(keypoints.MIRROR[keypoints.MIRROR], np.arange(18))
    assert {joint for bone in keypoints.BONES for joint in bone} == set(range(18))


def test_mirror_twice_is_the_identity():
    points, visible = _people()
    twice = keypoints.mirror(*keypoints.mirror(points, visible, 48), 48)
    np.testing.assert_allclose(twice[0], points, atol=1e-5)
    np.testing.assert_array_equal(twice[1], visible)


def test_mirror_moves_the_pixel_and_the_name():
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    points[keypoints.ID["left-wrist"]], visible[keypoints.ID["left-wrist"]] = (3, 5), True
    mirrored, mirrored_visible = keypoints.mirror(points, visible, 10)
    assert mirrored[keypoints.ID["right-wrist"]].tolist() == [6, 5]
    assert mirrored_visible.nonzero()[0].tolist() == [keypoints.ID["right-wrist"]]
    assert not mirrored[~mirrored_visible].any()


def test_scale_keeps_pixel_centres():
    np.testing.assert_allclose(keypoints.scale(np.array([0.0, 0.0]), (10, 10), (20, 20)), [0.5, 0.5])
    points, _ = _people()
    there = keypoints.scale(points, (64, 48), (256, 96))
    np.testing.assert_allclose(keypoints.scale(there, (256, 96), (64, 48)), points, atol=1e-4)


def test_pose_map_against_a_slow_reference():
    points, visible = _people(people=1, size=(20, 16))
    maps = np.asarray(pose_map(points[0], visible[0], (20, 16), 1.5))
    for y, x, joint in np.ndindex(20, 16, 18):
        squared = (x - points[0, joint, 0]) ** 2 + (y - points[0, joint, 1]) ** 2
        expected = np.exp(-squared / (2 * 1.5**2)) * visible[0, joint]
        assert abs(maps[y, x, joint] - expected) < 1e-5


def test_pose_map_there_and_back():
    points, visible = _people()
    maps = pose_map(jnp.asarray(points), jnp.asarray(visible), (64, 48), 1.5)
    assert maps.shape == (3, 64, 48, 18)
    read, read_visible, confidence = keypoints.read_pose_map(maps)
    np.testing.assert_array_equal(read_visible, visible)
    np.testing.assert_allclose(read, points, atol=0.2)
    assert (np.asarray(confidence)[visible] > 0.7).all() and (np.asarray(confidence)[~visible] == 0).all()


def test_person_height():
    points, visible = np.zeros((2, 18, 2), np.float32), np.zeros((2, 18), bool)
    points[0, 0], points[0, 10] = (5, 10), (5, 98)
    visible[0, [0, 10]] = True
    np.testing.assert_allclose(keypoints.person_height(points, visible), [100, 1 / 0.88], rtol=1e-6)
