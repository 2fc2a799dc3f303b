"""A body from keypoints: its turn and place, and what is guessed."""

import jax
import numpy as np
from capsule_people import SIZE, standing

from vton_jax.catalogue import bodies, camera, people, poses, views
from vton_jax.core.types import Layout
from vton_jax.layout.body import body_of


def test_body_finds_turn_and_place():
    """Of somebody whom the catalogue draws from all sides; one turn is taken for its mirror image."""
    away = []
    person = people.dress(bodies.Identity())
    eye = camera.frame(SIZE, person.height)
    find = jax.jit(lambda k, v: body_of(Layout(None, k, v), SIZE))
    for turn in np.radians(np.arange(-170.0, 180.0, 20.0)):
        points, seen = views.view_of(person, poses.stand(arms=0.3).turned(turn), eye, SIZE).keypoints()
        points = np.where(seen[:, None], points, 0).astype(np.float32)
        body = find(points, seen)
        found = np.arctan2(body.turn[1], body.turn[0])
        away.append(np.degrees(abs((found - turn + np.pi) % (2 * np.pi) - np.pi)))
        assert np.array_equal(np.asarray(body.joints)[seen], points[seen])
        assert np.linalg.norm(np.asarray(body.hips)[0] - 95.5) < 4  # the person stands in the middle
    assert sorted(away)[-2] < 20 and max(away) < 60


def test_body_is_finite_whatever_is_missing():
    keypoints, visible = standing()
    rng = np.random.default_rng(0)
    masks = np.stack([np.zeros(18, bool)] + [visible & (rng.uniform(size=18) < 0.3) for _ in range(30)])
    bodies = jax.jit(jax.vmap(lambda v: body_of(Layout(None, keypoints * v[:, None], v), SIZE)))(masks)
    for leaf in jax.tree.leaves(bodies):
        assert np.isfinite(np.asarray(leaf)).all()
