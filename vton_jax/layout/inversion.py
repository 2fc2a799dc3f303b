"""The backward procedure (Lab126 talk): glide back through a decoder to the latent that best explains a target.

Conventions: latents z [B, N]; `loss_fn(z, target) -> (loss [B], error [B])` gives each example's loss and its Err, the
number that is watched; Err is kept after every iteration, errors [iterations + 1, B]. Examples never influence each
other: the optimizer (`solvers`) works on each by itself, and the losses are summed.

The decoder never appears here: any loss of any latent can be inverted.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vton_jax.core import programs
from vton_jax.layout import solvers
from vton_jax.layout.solvers import Thresholds

_SMOOTH = 0.02  # of an image's range: smaller differences count by their square
_JOINTS = 30  # how much more a joint's bump counts than the empty map, as in MultiPathCNN's own loss


@flax.struct.dataclass
class Inversion:
    """The best latents found so far and where the search stands."""

    z: jax.Array  # [B, N] the current latents
    optimizer_state: Any
    best_z: jax.Array  # [B, N] of the lowest loss
    best_loss: jax.Array  # [B]
    best_error: jax.Array  # [B] Err at `best_z`


@functools.partial(jax.jit, static_argnums=1)
def start(z: jax.Array, optimizer: optax.GradientTransformation) -> Inversion:
    """Begins at latents z [B, N]: the encoder's latents of the pose image, never zeros (dead gradients)."""
    far = jnp.full(z.shape[:1], jnp.inf, z.dtype)  # the type that steps return: another is another program
    return Inversion(z=z, optimizer_state=optimizer.init(z), best_z=z, best_loss=far, best_error=far)


def step(
    state: Inversion, target: Any, loss_fn: Callable, optimizer: optax.GradientTransformation
) -> tuple[Inversion, jax.Array]:
    """One iteration; returns the state and Err [B] at the latents before it. Pure."""

    def summed(z):
        loss, error = loss_fn(z, target)
        return loss.sum(), (loss, error)

    gradient, (loss, error) = jax.grad(summed, has_aux=True)(state.z)
    better = loss < state.best_loss
    update = optax.with_extra_args_support(optimizer).update
    updates, optimizer_state = update(gradient, state.optimizer_state, state.z, value=loss)
    return Inversion(
        z=optax.apply_updates(state.z, updates),
        optimizer_state=optimizer_state,
        best_z=jnp.where(better[:, None], state.z, state.best_z),
        best_loss=jnp.where(better, loss, state.best_loss),
        best_error=jnp.where(better, error, state.best_error),
    ), error


def make_steps(
    loss_fn: Callable, optimizer: optax.GradientTransformation, count: int = 1, *, made_of: str | None = None
) -> Callable:
    """`(state, target) -> (state, errors [count, B])`, compiled: several iterations in one program where that pays.

    Args: made_of: what tells the loss and the optimizer from all others; later processes find the program by it.

    This is the one place that decides it. On accelerators the iterations are scanned; on CPUs they are unrolled, since
    XLA runs convolutions inside loops 7-10 times slower there.
    """

    def many(state, target):
        if jax.default_backend() != "cpu":
            return jax.lax.scan(lambda s, _: step(s, target, loss_fn, optimizer), state, None, length=count)
        errors = []
        for _ in range(count):
            state, error = step(state, target, loss_fn, optimizer)
            errors.append(error)
        return state, jnp.stack(errors)

    if made_of is None:
        return jax.jit(many, compiler_options=programs.compiler_options())
    return programs.Program(many, also=made_of)


def iterate(
    steps: Callable,
    state: Inversion,
    target: Any,
    max_iterations: int,
    thresholds: Thresholds = solvers.THRESHOLDS,
) -> Iterator[tuple[Inversion, np.ndarray]]:
    """Runs compiled `steps` until the loss stops falling; yields (state, errors of the last call) after each call.

    It has stopped falling when the best loss of the batch, a mean, has not sunk by the fraction `tolerance` for
    `patience` iterations. Err is watched, not waited for: while the prior draws z to where it is expected, Err may
    rest.
    Raises: FloatingPointError where Err is not finite.
    """
    best, since, done = np.inf, 0, 0
    while done < max_iterations:
        state, errors = steps(state, target)
        errors = np.asarray(errors)
        if not np.isfinite(errors).all():
            raise FloatingPointError(f"the backward procedure diverged at iteration {done}")
        done += len(errors)
        lowest = float(np.mean(np.asarray(state.best_loss)))
        since = 0 if not np.isfinite(best) or lowest < best - thresholds.tolerance * abs(best) else since + len(errors)
        best = min(best, lowest)
        yield state, errors
        if since >= thresholds.patience:
            return


def invert(
    steps: Callable,
    target: Any,
    z: jax.Array,
    optimizer: optax.GradientTransformation,
    *,
    max_iterations: int = 100,
    thresholds: Thresholds = solvers.THRESHOLDS,
) -> tuple[jax.Array, np.ndarray]:
    """The whole procedure from latents z [B, N] on: returns the best latents [B, N] and Err [iterations, B].

    Args: steps: from `make_steps`, with the same optimizer; the rest: see `iterate`.
    """
    errors = []
    state = start(jnp.array(z), optimizer)
    for current, found in iterate(steps, state, target, max_iterations, thresholds):
        state = current
        errors.append(found)
    return state.best_z, np.concatenate(errors)


def whitening(mean: np.ndarray, covariance: np.ndarray) -> tuple[Callable, Callable]:
    """Latents z [B, N] to white ones w, of mean 0 and covariance 1 over those seen in training; and back.

    Both functions are pytrees of their numbers, so that a program can take them as arguments.
    """
    lower = np.linalg.cholesky(np.asarray(covariance, np.float64))
    factor, inverse = np.linalg.inv(lower).astype(np.float32), lower.astype(np.float32)
    centre = np.asarray(mean, np.float32)
    partial = jax.tree_util.Partial
    return partial(_whiten, centre, factor.T), partial(_colour, centre, inverse.T)


def _whiten(centre, factor, z):
    return (z - centre) @ factor


def _colour(centre, factor, w):
    return w @ factor + centre


def layout_error(logits: jax.Array, target: jax.Array) -> jax.Array:
    """`Err = |S_coarse - S_out|` [B]: mean absolute difference of two soft maps [B, H, W, L] where the target is known.

    The target's maps sum to 0 where it is unknown.
    """
    known = target.sum(-1, keepdims=True)
    difference = jnp.abs(jax.nn.softmax(logits) * known - target)
    return difference.sum((1, 2, 3)) / jnp.maximum(known.sum((1, 2, 3)) * target.shape[-1], 1e-6)


def layout_loss(
    decode: Callable, whiten: Callable | None = None, prior_weight: float = 0.3, pose_weight: float = 100.0
) -> Callable:
    """A loss for `invert`: cross-entropy against a coarse map, the target pose, and the latents' prior.

    Args: decode: z [B, N] -> {'segmentation': logits [B, h, w, L], 'pose': maps [B, h, w, J]}. whiten: see `whitening`.
    The target is {'segmentation': soft maps [B, h, w, L] whose sum is the pixel's weight, 0 where the coarse map is
    unknown; 'pose': maps [B, h, w, J]; 'visible': [B, J], the joints that count; 'mean', 'scale': [B, N], the white
    latents that are expected, 0 and 1 where nothing is known}. Without a prior z runs far off the latents that the
    decoder knows. The talk presents the segmentation alone; the pose that is wanted is known as well, and the decoder
    has a path for it.
    """

    def loss_fn(z, target):
        out, maps = decode(z), target["segmentation"]
        weight = jnp.maximum(maps.sum((1, 2, 3)), 1e-6)
        loss = -jnp.sum(maps * jax.nn.log_softmax(out["segmentation"]), (1, 2, 3)) / weight
        difference = jnp.square(out["pose"] - target["pose"]) * (1 + _JOINTS * target["pose"])
        loss += pose_weight * jnp.mean(difference * target["visible"][:, None, None, :], (1, 2, 3))
        if whiten is not None:
            loss += prior_weight * jnp.mean(jnp.square((whiten(z) - target["mean"]) / target["scale"]), -1)
        return loss, layout_error(out["segmentation"], maps)

    return loss_fn


def image_loss(decode: Callable, whiten: Callable, image_weight: float) -> Callable:
    """A loss for `invert`: how far the decoder's image [B, H, W, 3] is from the target image, and the latents' prior.

    Args: decode: z [B, N] -> {'image'}. whiten: see `whitening`. Err is the mean absolute difference.
    """

    def loss_fn(z, target):
        difference = decode(z)["image"] - target
        # The root of squares is smooth where it is 0, as quasi-Newton methods want.
        loss = image_weight * jnp.mean(jnp.sqrt(jnp.square(difference) + _SMOOTH**2), (1, 2, 3))
        loss += jnp.mean(jnp.square(whiten(z)), -1)
        return loss, jnp.mean(jnp.abs(difference), (1, 2, 3))

    return loss_fn
