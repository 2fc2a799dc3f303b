"""Target layouts: the coarse map in eight steps, and the backward procedure that makes it consistent.

Conventions: layouts are `types.Layout` of the networks' size; latents [.., N] are those of the forward procedure; maps
are uint8 [.., H, W] in ATR's labels, coarse ones with `UNKNOWN`.
"""

import functools
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, keypoints, programs, segmentation
from vton_jax.core.batching import in_batches, spread
from vton_jax.core.types import Garment, Layout, Pose, Target, User
from vton_jax.layout import (
    body_parts,
    coarse_map,
    completion,
    garment_types,
    hems,
    inversion,
    limbs,
    solvers,
    trouser_legs,
)
from vton_jax.layout.body import Body
from vton_jax.models import latent_prior_cnn, layout_refinement_cnn, weights
from vton_jax.models.latent_prior_cnn import LatentPriorCNN
from vton_jax.models.layout_refinement_cnn import Given, LayoutRefinementCNN
from vton_jax.models.multi_path_cnn import POSE_SIGMA, MultiPathCNN
from vton_jax.models.weights import load_network
from vton_jax.systems.reader import Reader
from vton_jax.warping import blending

LayoutName = Literal["refined", "backward"]
PRIOR_WEIGHT, POSE_WEIGHT = 1.0, 100.0
LEAST_SCALE = 0.3  # of what LatentPriorCNN expects, in standard deviations of the latents: never surer than this
CHUNK = 4  # frames of a clip whose coarse maps are made, and that are painted, in one batch
# Of a clip every so many frames are searched. On eight clips of 32 frames of the catalogue's validation split layouts
# were as right as with each one searched (0.507 both), and so were what fills holes (0.624, 0.619).
SEARCHED = 4
_CLOTH = np.array([segmentation.ID[name] for name in ("upper-clothes", "skirt", "pants", "dress")])
_LEAST_CLOTH = 0.03  # of all cloth in a coarse map: what is less is nobody's garment
_BELOW = np.array([*segmentation.LOWER, *segmentation.DRESS])
# Thighs and shins, of 2: LayoutRefinementCNN shortens what hangs below the hips by .70 at most where it is right to (26
# of 45 cases of the catalogue's validation split hang there), and spread trousers by 1.4.
_SHORTER = 0.75
_UPPER, _LOWER = (segmentation.GARMENT_TYPES.index(kind) for kind in ("upper", "lower"))
_BELT, _BAG = segmentation.ID["belt"], segmentation.ID["bag"]
_SAMPLES = 4  # latents of the Gauss-Newton matrix, where the weights do not bring it


# The programs: all target layouts of a process share what is traced and compiled. Networks are static and weights
# arguments, but for the iterations: a gradient turns each kernel around, constant ones once instead of every time, and
# so takes a quarter less.

_compose = programs.Program(jax.vmap(coarse_map.coarse_target_segmentation), many_steps=True)


_STEPS: dict[tuple, tuple[Callable, solvers.Solver]] = {}  # of the weights that were read last


def _steps_of(reader: Reader, solver: str, statistics: dict) -> tuple[Callable, solvers.Solver]:
    """An iteration of the backward procedure through the decoder of `reader`, compiled once for its weights.

    Args: statistics: what comes with LatentPriorCNN's weights; `gauss_newton_matrix` is made where it is missing.
    """
    key = reader.weights_id, solver
    if (known := _STEPS.get(key)) is not None:
        return known
    if any(weights_id != reader.weights_id for weights_id, _ in [*_STEPS]):
        _STEPS.clear()
    decode = layout_decoder(reader.multi_path, reader.multi_path_params)
    matrix = statistics.get("gauss_newton_matrix") if solver == "gauss_newton" else None
    if matrix is None and solver == "gauss_newton":
        matrix = mean_matrix(decode, reader.colour, reader.multi_path.latent_size)
    made = solvers.make(solver, reader.covariance, matrix, PRIOR_WEIGHT)
    loss = inversion.layout_loss(decode, reader.whiten, PRIOR_WEIGHT, POSE_WEIGHT)
    numbers = PRIOR_WEIGHT, POSE_WEIGHT, None if matrix is None else hashlib.sha256(np.asarray(matrix)).hexdigest()
    _STEPS[key] = found = inversion.make_steps(loss, made.optimizer, made_of=repr((key, *numbers))), made
    return found


def layout_decoder(network: MultiPathCNN, params) -> Callable:
    """z [B, N] -> the decoder's 'segmentation' and 'pose', see `MultiPathCNN.decode`."""
    return functools.partial(network.apply, params, paths=("segmentation", "pose"), method="decode")


def mean_matrix(decode: Callable, colour: Callable, latent_size: int) -> np.ndarray:
    """The decoder's `solvers.gauss_newton_matrix` over a few latents as training saw them; the same every time."""
    white = np.random.default_rng(0).normal(size=(_SAMPLES, latent_size)).astype(np.float32)
    return np.asarray(solvers.gauss_newton_matrix(decode, colour(white), POSE_WEIGHT))


@programs.compiled(static=0)
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


@programs.compiled(static=0)
def _layout_of(network: MultiPathCNN, params, z: jax.Array) -> jax.Array:
    return _logits(network, params, z).argmax(-1).astype(jnp.uint8)


@programs.compiled(static=0)
def _refine(network: LayoutRefinementCNN, params, coarse: jax.Array, given: Given, bodies: Body) -> jax.Array:
    known = segmentation.one_hot(coarse.astype(jnp.int32))
    logits = network.apply(params, known, layout_refinement_cnn.maps_of(given, coarse.shape[1:]))["segmentation"]
    # Drawn people wear their belt over whatever top they put on. Others do not: a top that falls over it hides it, as
    # the coarse map says (`garment_layers`).
    hidden = (coarse != _BELT) & (coarse != segmentation.UNKNOWN)
    logits = logits.at[..., _BELT].set(jnp.where(hidden, -jnp.inf, logits[..., _BELT]))
    # The pose person's bag is not the user's, and nothing would paint it: bags stay where the photo shows them, with
    # who stands where they stood.
    own_pose = (given.user.keypoints == given.pose.keypoints).all((1, 2))[:, None, None]
    shown = (given.user.segmentation == _BAG).repeat(2, 1).repeat(2, 2)
    logits = logits.at[..., _BAG].set(jnp.where(own_pose & shown, logits[..., _BAG], -jnp.inf))
    found = logits.argmax(-1)
    # Nobody wears a kind of garment that neither user nor donor does: a dress is no skirt below a top.
    cloth = jnp.stack([(coarse == label).sum((1, 2)) for label in _CLOTH], -1)
    worn = (cloth >= _LEAST_CLOTH * cloth.sum(-1, keepdims=True))[:, None, None]
    likeliest = jnp.asarray(_CLOTH)[jnp.where(worn, logits[..., _CLOTH], -jnp.inf).argmax(-1)]
    unworn = ((found[..., None] == _CLOTH) & ~worn).any(-1)
    found = jnp.where(unworn, likeliest, found)
    # Trousers that lie with their legs spread look like short ones: how far they reach is measured, not guessed.
    short = _hem(coarse, bodies) - _hem(found, bodies) > _SHORTER
    bare = (found[..., None] == np.array((0, *segmentation.LEGS))).any(-1)
    kept = short[:, None, None] & bare & (coarse[..., None] == _BELOW).any(-1)
    return jnp.where(kept, coarse, found).astype(jnp.uint8)


def _hem(labels: jax.Array, bodies: Body) -> jax.Array:
    """How far down the legs maps [B, H, W] show cloth, as places [B] of `body_parts.covered_fraction`."""
    labels = jnp.where(labels == segmentation.UNKNOWN, 0, labels).astype(jnp.int32)
    cloth = (labels[..., None] == _BELOW).any(-1)
    return jax.vmap(lambda *of: body_parts.covered_fraction(*of, False))(labels, bodies, cloth)


def given_of(user: Layout, garment: Garment, poses: Layout) -> Given:
    """What LayoutRefinementCNN is told besides coarse maps; all have a leading axis B."""
    half = lambda of, labels: of.replace(segmentation=np.asarray(labels, np.uint8)[..., ::2, ::2])  # noqa: E731
    return Given(
        user=half(user, user.segmentation),
        pose=half(poses, poses.segmentation),
        dress=half(garment.layout, blending.dress_labels(garment)),
        garment_type=np.asarray(garment.garment_type, np.int32),
    )


@programs.compiled(static=0)
def _probabilities(network: MultiPathCNN, params, z: jax.Array) -> jax.Array:
    return jax.nn.softmax(_logits(network, params, z))


def same_pose(user: Layout, poses: Layout) -> bool:
    """Whether a pose (leading axis 1) is the photo's own: the very same joints."""
    return all(np.array_equal(getattr(user, name), getattr(poses, name)[0]) for name in ("keypoints", "visible"))


class TargetLayouts:
    """Finds the layout that a picture is painted into.

    `refined`: LayoutRefinementCNN says what the coarse maps should have become. `backward`, as the talk has it: what
    they know stays (`completion.reconcile`), and the decoder says the rest; so it also is where several garments are
    worn together, one is to be tucked in, or people keep their own.

    Args: reader: whose decoder is inverted. folder: where the weights lie, by default the released ones. solver: of the
    backward procedure. layout: which of the two.
    """

    def __init__(
        self,
        reader: Reader,
        folder: str | Path | None = None,
        solver: solvers.Name = "gauss_newton",
        layout: LayoutName = "refined",
    ):
        self._reader, self.size, self._solver, self._layout = reader, reader.size, solver, layout
        self._prior_file = weights.path_of("latent_prior_cnn", folder)
        self._refinement_file = weights.path_of("layout_refinement_cnn", folder)

    def coarse(
        self, user: Layout, garment: Garment, poses: Layout, batch: int = CHUNK, *, beside: Layout | None = None
    ):
        """The eight steps for pose layouts [T]: coarse maps uint8 [T, H, W] and all steps.

        Args: user: may have a leading axis T. beside: of the garment that is worn above or below `garment`, by default
        the user's own.
        """
        count = len(poses.segmentation)
        garment, beside = spread((garment, beside), count)
        user = user if np.ndim(user.segmentation) == 3 else spread(user, count)
        return self.coarse_pairs(user, garment, poses, batch, besides=beside)

    def composed(self, user: Layout, garment: Garment, poses: Layout, *, beside: Layout | None = None) -> "Composed":
        """Coarse maps of pose layouts [T], refined where LayoutRefinementCNN knows the case: one garment, another's,
        worn as it falls. Arguments as in `coarse`.
        """
        coarse, steps = self.coarse(user, garment, poses, beside=beside)
        as_it_falls = beside is None and not (garment.tuck is not None and np.any(garment.tuck))
        known = as_it_falls and not np.array_equal(user.segmentation, garment.layout.segmentation)
        refined = self.refined(coarse, user, garment, poses) if known and self._layout == "refined" else None
        kind = np.int32(segmentation.GARMENT_TYPES.index("outfit")) if beside is not None else garment.garment_type
        users = user.segmentation if np.ndim(user.segmentation) == 3 else user.segmentation[None]
        kinds = [garment_types.resolve_garment_type(one, garment.layout.segmentation, kind) for one in users]
        kinds = np.broadcast_to(np.array(kinds, np.int32), len(coarse))
        return Composed(np.asarray(coarse), steps, refined, kinds)

    def coarse_pairs(
        self, users: Layout, garments: Garment, poses: Layout, batch: int = CHUNK, *, besides: Layout | None = None
    ):
        """The same for many users, each with a garment and a pose of their own: all have a leading axis B."""
        layouts = users, garments.layout, poses
        bodies = tuple(limbs.all_bodies(of, self.size) for of in (*layouts, besides) if of is not None)
        pairs = (*layouts, garments.garment_type, (besides, garments.tuck, garments.sleeves), bodies)
        return in_batches(lambda part: _compose(*part), pairs, batch, full=True)

    @functools.cached_property
    def _prior(self):
        # Read on first use: the examples that it learns from come before it.
        network, params, extra, _ = load_network("latent_prior_cnn", LatentPriorCNN, self._prior_file)
        return network, params, extra

    @functools.cached_property
    def _refinement(self):
        return load_network("layout_refinement_cnn", LayoutRefinementCNN, self._refinement_file)[:2]

    def refined(
        self, coarse: np.ndarray, user: Layout, garment: Garment, poses: Layout, batch: int = CHUNK
    ) -> np.ndarray:
        """What coarse maps [T, H, W] should have become by LayoutRefinementCNN, uint8. Arguments as in `coarse`."""
        count = len(coarse)
        garment = spread(garment, count) if np.ndim(garment.garment_type) == 0 else garment
        user = user if np.ndim(user.segmentation) == 3 else spread(user, count)
        given = coarse, given_of(user, garment, poses), limbs.all_bodies(poses, self.size)
        return in_batches(lambda part: _refine(*self._refinement, *part), given, batch, full=True)

    @functools.cached_property
    def steps(self) -> tuple[Callable, solvers.Solver]:
        """An iteration, see `inversion.make_steps`, and the solver that it is made of."""
        return _steps_of(self._reader, self._solver, self._prior[2])

    def target_of(self, coarse: np.ndarray, poses: Pose, z_user: np.ndarray) -> dict:
        """What the backward procedure aims at, as `inversion.layout_loss` has it. Arguments as in `backward`."""
        prior, params, _ = self._prior
        reader = self._reader
        # The labels of the pose images do not count, and are no part of the program.
        poses = Pose(poses.layout.replace(segmentation=None), np.asarray(poses.latent))
        return _target((reader.multi_path, prior), params, reader.whiten, coarse, (poses, np.asarray(z_user)))

    def decoded(self, z) -> jax.Array:
        """Latents [B, N] -> the decoder's layouts uint8 [B, H, W]."""
        return _layout_of(self._reader.multi_path, self._reader.multi_path_params, z)

    def probabilities(self, z) -> jax.Array:
        """Latents [B, N] -> how likely the decoder takes each label to be, float [B, H, W, 18]."""
        return _probabilities(self._reader.multi_path, self._reader.multi_path_params, z)

    def expected(self, coarse: np.ndarray, poses: Pose, z_user: np.ndarray) -> np.ndarray:
        """The layouts uint8 [B, H, W] that LatentPriorCNN expects, before any iteration. Arguments as in `backward`."""
        return np.asarray(self.decoded(self._reader.colour(self.target_of(coarse, poses, z_user)["mean"])))

    def backward(
        self,
        coarse: np.ndarray,
        poses: Pose,
        z_user: np.ndarray,
        start: np.ndarray | None = None,
        max_iterations: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The backward procedure for coarse maps [B, H, W] of poses [B]; `decoded` and `probabilities` say what its
        latents show.

        Args: z_user: latents [B, N] or [1, N] of the user's photo. start: where to begin, by default the latents that
        LatentPriorCNN expects. max_iterations: by default the solver's for a first frame.
        Returns: latents [B, N], Err [iterations, B].
        """
        target = self.target_of(coarse, poses, z_user)
        steps, solver = self.steps
        z, errors = inversion.invert(
            steps,
            target,
            self._reader.colour(target["mean"]) if start is None else start,
            solver.optimizer,
            max_iterations=max_iterations or solver.first_iterations,
            thresholds=solver.thresholds,
        )
        return np.asarray(z), errors

    def iterations(
        self, coarse: np.ndarray, poses: Pose, z_user: np.ndarray, max_iterations: int
    ) -> Iterator[tuple[np.ndarray, float]]:
        """The backward procedure on one frame (leading axis 1) from the pose image's latent on, watched: the best (map
        uint8 [H, W], Err) so far, at first those of the beginning."""
        target = self.target_of(coarse, poses, z_user)
        steps, solver = self.steps
        state = inversion.start(jnp.array(poses.latent), solver.optimizer)
        for current, _ in inversion.iterate(steps, state, target, max_iterations, solver.thresholds):
            yield np.asarray(self.decoded(current.best_z))[0], float(current.best_error[0])

    def targets(self, user: User, garment: Garment, poses: Pose, beside: Garment | None = None) -> Iterator[Target]:
        """The target layout of every pose [T], as `Search` finds them.

        Args: beside: worn above or below `garment`, in place of the user's own. user: of a clip, with a leading axis T.
        """
        search, moving = Search(self), np.ndim(user.latent) == 2
        other = None if beside is None else beside.layout
        for first in range(0, len(poses.latent), CHUNK):
            part = jax.tree.map(lambda a, f=first: a[f : f + CHUNK], poses)
            who = jax.tree.map(lambda a, f=first: a[f : f + CHUNK], user.layout) if moving else user.layout
            found = self.composed(who, garment, part.layout, beside=other)
            for index in range(len(found.coarse)):
                at = lambda tree, i=index: jax.tree.map(lambda a: a[i], tree)  # noqa: E731
                pose = jax.tree.map(lambda a, i=index: a[i : i + 1], part)
                z_user = user.latent[first + index] if moving else user.latent
                yield search.next(at(found), pose, at(who) if moving else who, z_user)


@flax.struct.dataclass
class Composed:
    """What is known of frames' target layouts before the backward procedure; leading axes free."""

    coarse: np.ndarray  # uint8 [H, W] with UNKNOWN
    steps: dict[str, np.ndarray]  # the eight steps, uint8 [H, W] each
    refined: np.ndarray | None  # uint8 [H, W], by LayoutRefinementCNN; None: the backward procedure says the rest
    garment_type: np.ndarray  # int32 [], of all that is exchanged, an index in `segmentation.GARMENT_TYPES`


class Search:
    """The layouts of a clip, frame by frame: z moves as the pose image's latent does, and is searched on from there
    every few frames.
    """

    def __init__(self, layouts: TargetLayouts):
        self._layouts, self._count = layouts, 0
        self._z, self._before, self._error = None, None, None

    def next(self, found: Composed, pose: Pose, user: Layout, z_user: np.ndarray) -> Target:
        """The next frame's layout. Args: found: this frame's. pose: with a leading axis 1."""
        if found.refined is None:
            final, errors = self._searched(found.coarse, pose, z_user)
        else:
            final, errors = found.refined, np.zeros(0)
        there, refined = jax.tree.map(lambda a: a[0], pose.layout), found.refined is not None
        if refined:  # in their own clothes hems are theirs, and nobody's limb comes out of a sleeve
            final = hems.even(final, there)
            if found.garment_type != _LOWER:  # then the top is the user's own
                final = hems.even_top(final)
        if same_pose(user, pose.layout):
            own = np.asarray(user.segmentation)
            hands = limbs.hands(own, *limbs.bodies_of((user,), own.shape))
            final = completion.in_own_pose(final, own, int(found.garment_type), hands)
        else:
            final = completion.without_islands(final)
        if refined:
            final = limbs.narrowed(final, user, there)
            if found.garment_type == _UPPER:
                final = trouser_legs.as_worn(final, user, there)
        return Target(coarse=found.coarse, final=final, errors=errors, steps=found.steps)

    def _searched(self, coarse: np.ndarray, pose: Pose, z_user: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The map by the backward procedure, and its Err."""
        latent = np.asarray(pose.latent)
        if self._z is not None:
            self._z = self._z + latent - self._before
        if self._count % SEARCHED == 0:
            number = None if self._z is None else self._layouts.steps[1].next_iterations
            self._z, self._error = self._layouts.backward(coarse[None], pose, z_user[None], self._z, number)
        self._before, self._count = latent, self._count + 1
        # What was read sharply stays; the decoder says what was never photographed.
        return completion.reconcile(coarse, np.asarray(self._layouts.probabilities(self._z))[0]), self._error[:, 0]
