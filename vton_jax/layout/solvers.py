"""How the backward procedure searches for its latent: Adam, and two quasi-Newton methods that need far fewer steps.

Conventions: latents z [B, N]; one row a number w of other coordinates, z = w @ factor. Examples never influence each
other. A solver is an optax transformation whose `update` is told the loss [B] at the point where the gradient was
taken (`value=`), and asks for one gradient an iteration: a step that did not pay costs one, too.

A Gauss-Newton matrix of a frame costs N Jacobian-vector products, as much as some 40 gradients; ten gradients find the
answer. So the matrix is the decoder's own mean one (`gauss_newton_matrix`), kept with the weights, in whose coordinates
every direction of z bends the layout about alike, and L-BFGS learns on the way what is particular about a frame.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

Name = Literal["adam", "lbfgs", "gauss_newton"]
NAMES: tuple[str, ...] = get_args(Name)
_MEMORY = 10  # steps that L-BFGS remembers; 30 were no better on eight validation cases of the catalogue
_SHORTER = 0.4  # a step that did not pay is tried again, so much shorter
_TRIES = 4  # before the memory is thrown away
_AT_ONCE = 32  # directions of a Gauss-Newton matrix: tangents of all would take gigabytes inside the decoder


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """When the search has stopped falling."""

    patience: int = 12  # iterations without a gain
    tolerance: float = 0.01  # fraction of the loss that counts as one


THRESHOLDS = Thresholds()


@dataclasses.dataclass(frozen=True)
class Solver:
    """An optimizer, and how long it is given."""

    optimizer: optax.GradientTransformationExtraArgs
    first_iterations: int  # for a frame that begins where it is expected
    next_iterations: int  # for one that begins from the frame before
    thresholds: Thresholds = THRESHOLDS


@flax.struct.dataclass
class _Search:
    """Where a search stands; leading axes [B]."""

    lbfgs: Any
    point: jax.Array  # w [B, N] of the lowest loss
    gradient: jax.Array  # [B, N] there
    value: jax.Array  # [B] there
    direction: jax.Array  # [B, N] down from there
    scale: jax.Array  # [B] of the step along it that is tried


def quasi_newton(factor: np.ndarray) -> optax.GradientTransformationExtraArgs:
    """L-BFGS in the coordinates w of z = w @ factor, each example by itself, with steps that are shortened until they
    pay.

    Args: factor: [N, N]; where w bends the loss alike in all directions, a few steps are enough.
    """
    factor = jnp.asarray(factor, jnp.float32)
    inverse = jnp.asarray(np.linalg.inv(np.asarray(factor, np.float64)), jnp.float32)
    lbfgs = optax.scale_by_lbfgs(memory_size=_MEMORY)

    def init(z):
        far, nothing = jnp.full(z.shape[:1], jnp.inf, z.dtype), jnp.zeros_like(z)
        return _Search(jax.vmap(lbfgs.init)(z), nothing, nothing, far, nothing, jnp.ones_like(far))

    def update(gradient, state, z, *, value):
        paid = value < state.value
        here = _Search(state.lbfgs, z @ inverse, gradient @ factor.T, value, state.direction, jnp.ones_like(value))
        here = _where(paid, here, state.replace(scale=state.scale * _SHORTER))
        known, anew = state.lbfgs, jax.vmap(lbfgs.init)(z)
        learned, fresh = (jax.vmap(lbfgs.update)(here.gradient, of, here.point) for of in (known, anew))
        # What was remembered leads nowhere where it leads up, or where no part of the step that it made pays.
        stuck = ~paid & (here.scale < _SHORTER**_TRIES)
        up = jnp.sum(learned[0] * here.gradient, -1) <= 0
        direction, memory = _where(stuck | up, fresh, learned)
        turned = here.replace(lbfgs=memory, direction=direction, scale=jnp.ones_like(value))
        new = _where(paid | stuck, turned, here)
        return (new.point - new.scale[:, None] * new.direction) @ factor - z, new

    return optax.GradientTransformationExtraArgs(init, update)


def _where(condition: jax.Array, a: Any, b: Any) -> Any:
    """Trees of arrays [B, ...], chosen example by example."""
    pick = lambda x, y: jnp.where(condition.reshape(-1, *[1] * (x.ndim - 1)), x, y)  # noqa: E731
    return jax.tree.map(pick, a, b)


def gauss_newton_matrix(decode: Callable, z: jax.Array, pose_weight: float) -> jax.Array:
    """The mean Gauss-Newton matrix [N, N] over latents z [K, N] of a decoder's part of `inversion.layout_loss`.

    J^T H J, with the Jacobian J of the decoder and H the second derivative of the loss of its outputs: diag(p) - p p^T
    for the logits' cross-entropy at a pixel that shows what the decoder shows, and the weights of the joints' maps.
    """

    count = z.shape[1]

    @jax.jit
    def rows(z, directions):
        """Flat rows whose products are the three parts of J^T H J, for some columns of J."""
        (logits, pose), along = jax.linearize(lambda z: _maps(decode(z[None])), z)
        probability, pixels = jax.nn.softmax(logits), logits.shape[0] * logits.shape[1]
        weight = 2 * pose_weight * (1 + 30 * jnp.clip(pose, 0, 1)) / pose.size
        moved, turned = jax.vmap(along)(directions)
        own, mean = moved * jnp.sqrt(probability / pixels), (moved * probability).sum(-1) / np.sqrt(pixels)
        return tuple(part.reshape(len(part), -1) for part in (own, mean, turned * jnp.sqrt(weight)))

    total = jnp.zeros((count, count))
    for each in z:
        parts = [rows(each, jnp.eye(count)[first : first + _AT_ONCE]) for first in range(0, count, _AT_ONCE)]
        own, mean, joints = (jnp.concatenate(part) for part in zip(*parts, strict=True))
        total += own @ own.T - mean @ mean.T + joints @ joints.T
    return total / len(z)


def _maps(out: dict) -> tuple[jax.Array, jax.Array]:
    return out["segmentation"][0], out["pose"][0]


def factor_of(matrix: np.ndarray) -> np.ndarray:
    """The factor [N, N] of coordinates in which a positive definite second derivative `matrix` is the identity."""
    return np.linalg.inv(np.linalg.cholesky(np.asarray(matrix, np.float64)))


def make(name: str, covariance: np.ndarray, matrix: np.ndarray, prior_weight: float) -> Solver:
    """A solver by its name.

    Args: covariance: [N, N] of the latents. matrix: from `gauss_newton_matrix`. prior_weight: as in the loss.
    """
    if name == "adam":
        adam = optax.with_extra_args_support(optax.adam(0.1, b1=0.8, b2=0.95))
        return Solver(adam, first_iterations=60, next_iterations=10)
    white = np.linalg.cholesky(np.asarray(covariance, np.float64)).T
    if name == "gauss_newton":
        precision = 2 * prior_weight / len(covariance) * np.linalg.inv(np.asarray(covariance, np.float64))
        white = factor_of(matrix + precision)
    # Two for a next frame: on ten clips of the catalogue's validation split the layouts were as right as after six, or
    # after none (0.508 each): what the frame before found, moved by what the pose image's latent moved, hardly errs.
    return Solver(quasi_newton(white), first_iterations=30, next_iterations=2, thresholds=Thresholds(_TRIES + 2, 0.005))
