"""The solvers of the backward procedure against problems whose answers are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vton_jax.layout import inversion, solvers

SIZE = 8
NUMBERS = np.random.default_rng(0)
BASIS = np.linalg.qr(NUMBERS.normal(size=(SIZE, SIZE)))[0]
HESSIAN = (BASIS * np.geomspace(0.01, 10, SIZE)) @ BASIS.T  # a valley a thousand times longer than wide
ANSWERS = NUMBERS.normal(size=(3, SIZE)).astype(np.float32)


def valley(z, target):
    away = z - target
    loss = 0.5 * jnp.einsum("bi,ij,bj->b", away, HESSIAN.astype(np.float32), away)
    return loss, jnp.abs(away).mean(-1)


def loss_of(z):
    """The valley's loss, by NumPy."""
    away = np.asarray(z) - ANSWERS
    return 0.5 * np.einsum("bi,ij,bj->b", away, HESSIAN, away)


def solve(steps, optimizer, iterations, target=ANSWERS):
    patient = solvers.Thresholds(patience=iterations)
    z = np.zeros(target.shape, np.float32)
    return inversion.invert(steps, target, z, optimizer, max_iterations=iterations, thresholds=patient)


def errors_of(optimizer, iterations, target=ANSWERS, loss=valley):
    return solve(inversion.make_steps(loss, optimizer), optimizer, iterations, target)


@pytest.fixture(scope="module")
def plainly():
    """`errors_of` a search in the latents' own coordinates; its program is compiled once."""
    optimizer = solvers.quasi_newton(np.eye(SIZE))
    return functools.partial(solve, inversion.make_steps(valley, optimizer), optimizer)


def test_coordinates_of_the_second_derivative_need_a_few_steps():
    z, _ = errors_of(solvers.quasi_newton(solvers.factor_of(HESSIAN)), 6)
    np.testing.assert_allclose(z, ANSWERS, atol=2e-3)


def test_a_long_valley_takes_adam_far_longer(plainly):
    quick, _ = plainly(30)
    slow, _ = errors_of(optax.adam(0.1, b1=0.8, b2=0.95), 30)
    assert loss_of(quick).max() < 0.1 * loss_of(slow).max()


def test_a_batch_equals_its_people_one_by_one(plainly):
    together, errors = plainly(12)
    for i in range(len(ANSWERS)):
        alone, own = plainly(12, ANSWERS[i : i + 1])
        np.testing.assert_allclose(together[i], alone[0], atol=1e-4)
        np.testing.assert_allclose(errors[:, i], own[:, 0], atol=1e-4)


def test_a_bent_valley_is_followed_to_its_end():
    """Rosenbrock's: the second derivative turns on the way, and full steps do not pay."""

    def bent(z, target):
        loss = jnp.square(1 - z[:, 0]) + 100 * jnp.square(z[:, 1] - z[:, 0] ** 2)
        return loss, loss

    z, errors = errors_of(solvers.quasi_newton(np.eye(2)), 80, np.zeros((1, 2), np.float32), bent)
    np.testing.assert_allclose(z, [[1, 1]], atol=1e-2)
    assert errors.max() > errors[0]  # some step did not pay


def test_a_step_that_does_not_pay_is_made_shorter_from_where_it_began():
    optimizer = solvers.quasi_newton(np.eye(2))
    update = jax.jit(lambda gradient, state, z, value: optimizer.update(gradient, state, z, value=value))
    z, gradient = np.zeros((1, 2), np.float32), np.float32([[0.6, 0.8]])
    move, state = update(gradient, jax.jit(optimizer.init)(z), z, np.float32([1]))
    first = z + np.asarray(move)
    np.testing.assert_allclose(first, -gradient, atol=1e-6)
    move, state = update(-gradient, state, first, np.float32([2]))
    np.testing.assert_allclose(first + np.asarray(move), -0.4 * gradient, atol=1e-6)


@pytest.fixture
def decoder():
    numbers = np.random.default_rng(3)
    matrices = {"segmentation": numbers.normal(size=(5, 4 * 3 * 4)), "pose": 0.3 * numbers.normal(size=(5, 4 * 3 * 2))}

    def decode(z):
        out = {name: jnp.tanh(z @ np.float32(one)).reshape(len(z), 4, 3, -1) for name, one in matrices.items()}
        return out | {"pose": jnp.clip(out["pose"], 0, 1)}

    return decode


def test_gauss_newton_is_the_second_derivative_where_the_target_is_met(decoder):
    loss = inversion.layout_loss(decoder, pose_weight=7.0)

    @jax.jit
    def second_derivative(each):
        out = decoder(each[None])
        met = {"segmentation": jax.nn.softmax(out["segmentation"]), "pose": out["pose"], "visible": jnp.ones((1, 2))}
        met = jax.lax.stop_gradient(met)
        return jax.hessian(lambda z: loss(z[None], met)[0][0])(each)

    z = np.random.default_rng(4).normal(size=(2, 5)).astype(np.float32)
    matrices = [np.asarray(second_derivative(each)) for each in z]
    for each, matrix in zip(z, matrices, strict=True):
        np.testing.assert_allclose(solvers.gauss_newton_matrix(decoder, each[None], 7.0), matrix, atol=2e-4)
    np.testing.assert_allclose(solvers.gauss_newton_matrix(decoder, z, 7.0), np.mean(matrices, 0), atol=2e-4)


@pytest.mark.parametrize("name", solvers.NAMES)
def test_solvers_by_name_find_the_answer(name):
    covariance = np.diag(np.linspace(0.5, 2, SIZE))
    solver = solvers.make(name, covariance, HESSIAN, prior_weight=0.1)
    z, errors = errors_of(solver.optimizer, solver.first_iterations)
    assert errors.shape[0] <= solver.first_iterations
    assert loss_of(z).max() < 0.2 * loss_of(np.zeros_like(ANSWERS)).max()
