"""The backward procedure against problems whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vton_jax.layout import inversion, solvers

MATRIX = np.random.default_rng(0).normal(size=(6, 40)).astype(np.float32)


def squared(z, target):
    error = jnp.abs(z @ MATRIX - target).mean(-1)
    return jnp.square(z @ MATRIX - target).mean(-1), error


def invert(loss_fn, target, z, learning_rate=0.1, patience=12, max_iterations=100):
    optimizer = optax.adam(learning_rate)
    options = {"max_iterations": max_iterations, "thresholds": solvers.Thresholds(patience=patience)}
    return inversion.invert(inversion.make_steps(loss_fn, optimizer), target, z, optimizer, **options)


def test_recovers_the_latents_of_a_linear_decoder():
    truth = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
    z, errors = invert(
        squared,
        truth @ MATRIX,
        np.zeros((3, 6), np.float32),
        max_iterations=400,
        patience=400,
        learning_rate=0.05,
    )
    np.testing.assert_allclose(z, truth, atol=0.02)
    assert errors.shape == (400, 3)
    assert (errors[-1] < 0.02 * errors[0]).all()


def test_a_batch_equals_its_people_one_by_one():
    target = np.random.default_rng(2).normal(size=(4, 40)).astype(np.float32)
    begin = np.random.default_rng(3).normal(size=(4, 6)).astype(np.float32)
    optimizer, patient = optax.adam(0.1), solvers.Thresholds(patience=30)
    steps = inversion.make_steps(squared, optimizer)
    run = lambda *given: inversion.invert(steps, *given, optimizer, max_iterations=30, thresholds=patient)  # noqa: E731
    together, errors = run(target, begin)
    for i in range(4):
        alone, own = run(target[i : i + 1], begin[i : i + 1])
        np.testing.assert_allclose(together[i], alone[0], atol=1e-5)
        np.testing.assert_allclose(errors[:, i], own[:, 0], atol=1e-5)


def test_stops_when_the_error_stops_falling_and_returns_the_best():
    z, errors = invert(
        squared, np.zeros((1, 40), np.float32), np.ones((1, 6), np.float32), max_iterations=3000, patience=10
    )
    assert len(errors) < 3000
    losses = [np.square(np.asarray(one) @ MATRIX).mean() for one in (z, np.ones((1, 6), np.float32))]
    assert losses[0] <= losses[1]


def test_several_iterations_in_one_program_are_the_same():
    optimizer = optax.adam(0.1)
    target, begin = np.ones((2, 40), np.float32), np.zeros((2, 6), np.float32) + 0.1
    one, three = (inversion.make_steps(squared, optimizer, count) for count in (1, 3))
    state = inversion.start(jnp.asarray(begin), optimizer)
    for _ in range(3):
        state, _ = one(state, target)
    other, errors = three(inversion.start(jnp.asarray(begin), optimizer), target)
    np.testing.assert_allclose(state.z, other.z, atol=1e-6)
    assert errors.shape == (3, 2)


def test_a_divergence_is_named():
    with pytest.raises(FloatingPointError, match="iteration 0"):
        invert(lambda z, t: (z.sum(-1) * jnp.nan,) * 2, None, np.ones((1, 2), np.float32))


def test_unknown_pixels_pull_at_nothing():
    logits = np.random.default_rng(4).normal(size=(1, 4, 4, 3)).astype(np.float32)
    target = np.eye(3, dtype=np.float32)[np.arange(16).reshape(1, 4, 4) % 3]
    target[:, :2] = 0  # unknown
    nothing = np.zeros((1, 4, 4, 2), np.float32)
    goal = {"segmentation": target, "pose": nothing, "visible": np.ones((1, 2), np.float32)}
    changed = logits.copy()
    changed[:, :2] += 5 * np.random.default_rng(5).normal(size=(1, 2, 4, 3))

    @jax.jit
    def loss_of(logits):
        decode = lambda z: {"segmentation": logits + z[:, None, None, :3], "pose": nothing}  # noqa: E731
        return inversion.layout_loss(decode, pose_weight=0.0)(jnp.zeros((1, 3)), goal)

    for a, b in zip(loss_of(logits), loss_of(changed), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_layout_error_is_the_mean_absolute_difference_where_known():
    logits = np.random.default_rng(6).normal(size=(1, 3, 2, 4)).astype(np.float32)
    target = np.eye(4, dtype=np.float32)[np.random.default_rng(7).integers(0, 4, (1, 3, 2))]
    target[0, 0, 0] = 0
    total, known = 0.0, 0
    for y in range(3):
        for x in range(2):
            if target[0, y, x].sum() == 0:
                continue
            e = np.exp(logits[0, y, x])
            total += np.abs(e / e.sum() - target[0, y, x]).sum()
            known += 4
    np.testing.assert_allclose(jax.jit(inversion.layout_error)(logits, target)[0], total / known, rtol=1e-5)


def test_whitening_makes_the_population_white_and_goes_back():
    rng = np.random.default_rng(8)
    z = (rng.normal(size=(20000, 5)) @ rng.normal(size=(5, 5)) + 3).astype(np.float32)
    whiten, colour = inversion.whitening(z.mean(0), np.cov(z.T))
    white = np.asarray(whiten(z))
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-2)
    np.testing.assert_allclose(np.cov(white.T), np.eye(5), atol=1e-2)
    np.testing.assert_allclose(colour(white), z, atol=1e-3)


def test_the_prior_pulls_towards_what_is_expected_as_far_as_it_is_sure():
    """Where the map says nothing, the latent found is the expected one; where both speak, the surer one wins."""
    whiten, colour = inversion.whitening(np.ones(2), np.diag([4.0, 9.0]))
    decode = lambda z: {"segmentation": z[:, None, None, :], "pose": jnp.zeros((len(z), 1, 1, 1))}  # noqa: E731
    loss_fn = inversion.layout_loss(decode, whiten, prior_weight=1.0, pose_weight=0.0)
    goal = {"pose": np.zeros((1, 1, 1, 1)), "visible": np.zeros((1, 1)), "mean": np.array([[0.5, -1.0]])}
    optimizer = optax.adam(0.1)
    steps, patient = inversion.make_steps(loss_fn, optimizer), solvers.Thresholds(patience=300)

    def found(maps, scale):
        target = goal | {"segmentation": np.array(maps)[None, None, None], "scale": np.full((1, 2), scale)}
        target, z = jax.tree.map(np.float32, target), np.zeros((1, 2), np.float32)
        return np.asarray(inversion.invert(steps, target, z, optimizer, max_iterations=300, thresholds=patient)[0])

    expected = np.asarray(colour(np.float32(goal["mean"])))
    np.testing.assert_allclose(found([0.0, 0.0], 1.0), expected, atol=0.02)
    assert expected[0, 0] > expected[0, 1]  # the map wants the second label
    sure, unsure = found([0.0, 1.0], 0.05), found([0.0, 1.0], 10.0)
    np.testing.assert_allclose(sure, expected, atol=0.1)
    assert unsure[0, 1] > unsure[0, 0]
