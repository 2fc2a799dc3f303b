"""A body from keypoints: its turn and place, and what is guessed."""

import jax
import numpy as np
from capsule_people import SIZE, standing

from vton_jax.core.types import Layout
from vton_jax.layout.body import body_of
from vton_jax.mannequin import motion, people, render


def test_body_finds_turn_and_place():
    identity, outfit = people.sample_identity(jax.random.key(0)), people.sample_outfit(jax.random.key(1))
    draw = jax.jit(
        lambda yaw: render.render(identity, outfit, motion.flat_pose(0.3).replace(yaw=yaw), people.even_scene())
    )
    find = jax.jit(lambda k, v: body_of(Layout(None, k, v), SIZE))
    for turn in np.radians(np.arange(-170.0, 180.0, 20.0)):
        frame = draw(turn)
        body = find(frame.keypoints, frame.visible)
        found = np.arctan2(body.turn[1], body.turn[0])
        assert abs((found - turn + np.pi) % (2 * np.pi) - np.pi) < np.radians(20)
        seen = np.asarray(frame.visible)
        assert np.array_equal(np.asarray(body.joints)[seen], np.asarray(frame.keypoints)[seen])
        assert np.linalg.norm(np.asarray(body.hips)[0] - 95.5) < 4  # the person stands in the middle


def test_body_is_finite_whatever_is_missing():
    keypoints, visible = standing()
    rng = np.random.default_rng(0)
    masks = np.stack([np.zeros(18, bool)] + [visible & (rng.uniform(size=18) < 0.3) for _ in range(30)])
    bodies = jax.vmap(lambda v: body_of(Layout(None, keypoints * v[:, None], v), SIZE))(masks)
    for leaf in jax.tree.leaves(bodies):
        assert np.isfinite(np.asarray(leaf)).all()
