"""Landmarks of garments that lie flat, and the joints of their wearers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vton_jax.layout import garment_landmarks
from vton_jax.layout.body import body_of
from vton_jax.mannequin import motion, people, render

SIZE = (256, 192)


@pytest.mark.parametrize("lower", [False, True])
def test_landmarks_give_the_wearers_joints(lower):
    errors = []
    draw = jax.jit(
        lambda who, worn: render.render_flat(who, worn, motion.flat_pose(), people.even_scene(), lower=lower)
    )
    for seed in range(4):
        key_a, key_b = jax.random.split(jax.random.key(seed))
        outfit = people.sample_outfit(key_b)
        if lower:
            outfit = outfit.replace(dress=jnp.zeros(()), skirt=jnp.zeros(()))
        kind = "lower" if lower else ("dress" if float(outfit.dress) > 0.5 else "upper")
        flat = draw(people.sample_identity(key_a), outfit)
        keypoints, visible = garment_landmarks.keypoints_from_landmarks(flat.landmarks, flat.present, kind)
        assert np.array_equal(visible, flat.frame.visible)
        height = body_of(flat.frame, SIZE).height
        distance = np.linalg.norm(np.asarray(keypoints) - np.asarray(flat.frame.keypoints), axis=-1)
        errors.append(distance[np.asarray(visible)].mean() / float(height))
    assert np.mean(errors) < 0.05
    nothing, visible = garment_landmarks.keypoints_from_landmarks(np.zeros((12, 2)), np.zeros(12, bool), "upper")
    assert not np.asarray(visible).any() and not np.asarray(nothing).any()
