"""Target layouts: the coarse map in eight steps, and the backward procedure that makes it consistent.

Conventions: layouts are `types.Layout` of the networks' size; latents [.., N] are those of the forward procedure; maps
are uint8 [.., H, W] in ATR's labels, coarse ones with `UNKNOWN`.
"""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vton_jax.core import geometry, keypoints, segmentation
from vton_jax.core.batching import in_batches, spread
from vton_jax.core.types import Garment, Layout, Pose, Target, User
from vton_jax.layout import coarse_map, completion, inversion
from vton_jax.models import latent_prior_cnn, weights
from vton_jax.models.latent_prior_cnn import LatentPriorCNN
from vton_jax.models.multi_path_cnn import POSE_SIGMA, MultiPathCNN
from vton_jax.models.weights import load_network
from vton_jax.systems.lab126.reader import Reader

LEARNING_RATE = 0.1
PRIOR_WEIGHT, POSE_WEIGHT = 1.0, 100.0
LEAST_SCALE = 0.3  # of what LatentPriorCNN expects, in standard deviations of the latents: never surer than this
CHUNK = 4  # frames of a clip whose coarse maps are made, and that are painted, in one batch
FIRST_ITERATIONS, NEXT_ITERATIONS = 60, 10  # for a first frame, and for one that starts from the frame before


_OPTIMIZER = optax.adam(LEARNING_RATE, b1=0.8, b2=0.95)


# The programs: all target layouts of a process share what is traced and compiled. Networks are static and weights
# arguments, but for the iterations: a gradient turns each kernel around, constant ones once instead of every time, and
# so takes a quarter less.

_compose = jax.jit(jax.vmap(coarse_map.coarse_target_segmentation))


_STEPS: dict[tuple, Callable] = {}  # of the weights that were read last


def _steps_of(reader: Reader) -> Callable:
    """An iteration of the backward procedure through the decoder of `reader`, compiled once for its weights."""
    if reader.weights_id not in _STEPS:
        network, params = reader.multi_path, reader.multi_path_params
        decode = functools.partial(network.apply, params, paths=("segmentation", "pose"), method="decode")
        loss = inversion.layout_loss(decode, reader.whiten, PRIOR_WEIGHT, POSE_WEIGHT)
        _STEPS.clear()
        _STEPS[reader.weights_id] = inversion.make_steps(loss, _OPTIMIZER)
    return _STEPS[reader.weights_id]


@functools.partial(jax.jit, static_argnums=0)
def _target(networks, prior_params, whiten, coarse, people: tuple[Pose, jax.Array]) -> dict:
    """What the backward procedure aims at. `people`: the poses [B], and the user's latents."""
    (multi_path, prior), (pose, z_user) = networks, people
    size, small = multi_path.size, (multi_path.size[0] // 2, multi_path.size[1] // 2)
    points, visible = pose.layout.keypoints, pose.layout.visible
    maps = keypoints.pose_map(keypoints.scale(points, size, small), visible, small, POSE_SIGMA)
    labels = coarse.astype(jnp.int32)
    fractions = segmentation.soft_maps(labels, latent_prior_cnn.BLOCK)
    z_user = jnp.broadcast_to(z_user, pose.latent.shape)
    expected = prior.apply(prior_params, fractions, whiten(z_user), whiten(pose.latent))
    return {
        "segmentation": segmentation.soft_maps(labels, 2),
        "pose": maps,
        "visible": visible.astype(jnp.float32),
        "mean": expected["mean"],
        "scale": jnp.maximum(jnp.exp(expected["log_scale"]), LEAST_SCALE),
    }


def _logits(network: MultiPathCNN, params, z: jax.Array) -> jax.Array:
    return geometry.resize(network.apply(params, z, ("segmentation",), method="decode")["segmentation"], network.size)


@functools.partial(jax.jit, static_argnums=0)
def _layout_of(network: MultiPathCNN, params, z: jax.Array) -> jax.Array:
    return _logits(network, params, z).argmax(-1).astype(jnp.uint8)


@functools.partial(jax.jit, static_argnums=0)
def _probabilities(network: MultiPathCNN, params, z: jax.Array) -> jax.Array:
    return jax.nn.softmax(_logits(network, params, z))


class TargetLayouts:
    """Finds the layout that a picture is painted into.

    What the coarse maps know stays (`completion.reconcile`); the decoder says the rest.

    Args: reader: whose decoder is inverted. folder: where the weights lie, by default the released ones.
    """

    def __init__(self, reader: Reader, folder: str | Path | None = None):
        self._reader, self.size = reader, reader.size
        self._prior_file = weights.path_of("latent_prior_cnn", folder)
        self._steps = _steps_of(reader)

    def coarse(self, user: Layout, garment: Garment, poses: Layout, batch: int = CHUNK):
        """The eight steps for pose layouts [T]: coarse maps uint8 [T, H, W] and all steps."""
        user, garment = spread((user, garment), len(poses.segmentation))
        return self.coarse_pairs(user, garment, poses, batch)

    def coarse_pairs(self, users: Layout, garments: Garment, poses: Layout, batch: int = CHUNK):
        """The same for many users, each with a garment and a pose of their own: all have a leading axis B."""
        pairs = (users, garments.layout, poses, garments.garment_type)
        return in_batches(lambda part: _compose(*part), pairs, batch, full=True)

    @functools.cached_property
    def _prior(self):
        # Read on first use: the examples that it learns from come before it.
        network, params, _, _ = load_network("latent_prior_cnn", LatentPriorCNN, self._prior_file)
        return network, params

    def _target_of(self, coarse, poses: Pose, z_user) -> dict:
        prior, params = self._prior
        reader = self._reader
        # The labels of the pose images do not count, and are no part of the program.
        poses = poses.replace(layout=poses.layout.replace(segmentation=None))
        return _target((reader.multi_path, prior), params, reader.whiten, coarse, (poses, z_user))

    def _layout_of(self, z) -> jax.Array:
        return _layout_of(self._reader.multi_path, self._reader.multi_path_params, z)

    def probabilities(self, z) -> jax.Array:
        """Latents [B, N] -> how likely the decoder takes each label to be, float [B, H, W, 18]."""
        return _probabilities(self._reader.multi_path, self._reader.multi_path_params, z)

    def expected(self, coarse: np.ndarray, poses: Pose, z_user: np.ndarray) -> np.ndarray:
        """The layouts uint8 [B, H, W] that LatentPriorCNN expects, before any iteration. Arguments as in `backward`."""
        return np.asarray(self._layout_of(self._reader.colour(self._target_of(coarse, poses, z_user)["mean"])))

    def backward(
        self,
        coarse: np.ndarray,
        poses: Pose,
        z_user: np.ndarray,
        start: np.ndarray | None = None,
        max_iterations: int = FIRST_ITERATIONS,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The backward procedure for coarse maps [B, H, W] of poses [B].

        Args: z_user: latents [B, N] or [1, N] of the user's photo. start: where to begin, by default the pose images'
        latents. Returns: latents [B, N], final maps uint8 [B, H, W], Err [iterations, B].
        """
        target = self._target_of(coarse, poses, z_user)
        begin = poses.latent if start is None else start
        z, errors = inversion.invert(self._steps, target, begin, _OPTIMIZER, max_iterations=max_iterations)
        return np.asarray(z), np.asarray(self._layout_of(z)), errors

    def iterations(
        self, coarse: np.ndarray, poses: Pose, z_user: np.ndarray, max_iterations: int
    ) -> Iterator[tuple[np.ndarray, float]]:
        """The backward procedure on one frame (leading axis 1), watched: (map uint8 [H, W], Err) before every step."""
        target = self._target_of(coarse, poses, z_user)
        state = inversion.start(jnp.array(poses.latent), _OPTIMIZER)
        layout = np.asarray(self._layout_of(state.z))[0]
        for current, errors in inversion.iterate(self._steps, state, target, max_iterations):
            yield layout, float(errors[-1, 0])
            layout = np.asarray(self._layout_of(current.z))[0]

    def targets(self, user: User, garment: Garment, poses: Pose) -> Iterator[Target]:
        """The target layout of every pose [T].

        Frame by frame z starts from the frame before, moved by what the pose image's latent moved.
        """
        z, before, z_user = None, None, user.latent[None]
        for first in range(0, len(poses.latent), CHUNK):
            part = jax.tree.map(lambda a, f=first: a[f : f + CHUNK], poses)
            coarse, steps = self.coarse(user.layout, garment, part.layout)
            for index in range(len(coarse)):
                pose = jax.tree.map(lambda a, i=index: a[i : i + 1], part)
                now = pose.latent
                begin = now if z is None else z + now - before
                number = FIRST_ITERATIONS if z is None else NEXT_ITERATIONS
                z, _, error = self.backward(coarse[index][None], pose, z_user, begin, number)
                # What was read sharply stays; the decoder says what was never photographed.
                final = completion.reconcile(coarse[index], np.asarray(self.probabilities(z))[0])
                before = now
                here = {name: maps[index] for name, maps in steps.items()}
                yield Target(coarse=coarse[index], final=final, errors=error[:, 0], steps=here)
