"""The pictures: TripleGuidedCNN and ReMapCNN in one of four arms paint a person into target layouts.

Alphabet: frames are float [T, H, W, 3] in [0, 1] of the networks' size; layouts are `types.Layout`; final maps uint8
[T, H, W]. `try_on.TryOn` is a `Painter` that also reads pictures and finds target layouts.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, segmentation
from vton_jax.core.batching import in_batches
from vton_jax.core.types import Dressed, Garment, Layout
from vton_jax.models.flow_refinement_cnn import FlowRefinementCNN
from vton_jax.models.re_map_cnn import ReMapCNN
from vton_jax.models.triple_guided_cnn import TripleGuidedCNN
from vton_jax.models.weights import load_network
from vton_jax.warping import blending, geometric_flow

ARMS = ("none", "post", "pre", "joint")
LEAST_GARMENT = 0.005  # of a picture: less is no garment


class Painter:
    """The networks of one arm. Args: arm: one of `ARMS`; at: name of a network -> its file; size: the networks' own."""

    def __init__(self, arm: str, at: Callable[[str], Path], size: tuple[int, int]):
        self.arm, self.size = arm, size
        base = {"none": "none", "post": "none", "pre": "pre", "joint": "joint"}[arm]
        name = f"triple_guided_cnn_{base}"
        self.triple_guided, self._triple, _, _ = load_network("triple_guided_cnn", TripleGuidedCNN, at(name))
        self.re_map, self._re_map = None, None
        if arm != "none":
            self.re_map, self._re_map, _, _ = load_network("re_map_cnn", ReMapCNN, at("re_map_cnn"))
            self._refinement_file = at("flow_refinement_cnn_joint" if arm == "joint" else "flow_refinement_cnn")

    @functools.cached_property
    def _refinement(self):
        # Read on first use: data/guides.py, which it learns from, comes before it.
        network, params, _, _ = load_network("flow_refinement_cnn", FlowRefinementCNN, self._refinement_file)
        return functools.partial(network.apply, params)

    @staticmethod
    def _dress_labels(donor: Garment) -> jax.Array:
        """The garment's labels [B, H, W], 0 elsewhere."""
        labels = donor.layout.segmentation.astype(jnp.int32)
        return jnp.where(blending.garment_mask(labels, donor.garment_type), labels, 0)

    def _first_stage(self, params, donor: Garment, final, points, visible) -> dict:
        """ReMapCNN's outputs and the geometric flow, 'first_flow' with 'first_shown'; everything has an axis B."""
        labels, dress_labels = donor.layout.segmentation.astype(jnp.int32), self._dress_labels(donor)
        joints = donor.layout.keypoints, donor.layout.visible
        poses = (blending.pose_map(*of, self.size) for of in (joints, (points, visible)))
        maps = (segmentation.one_hot(of) for of in (dress_labels, final.astype(jnp.int32)))
        out = self.re_map.apply(params, donor.image, *maps, *poses)
        first, shown = geometric_flow.first_flow(
            final, points, visible, labels, *joints, donor.garment_type, donor.flat
        )
        return out | {"first_flow": first, "first_shown": shown}

    def _remapped(self, params, donor: Garment, final, points, visible, flows: dict | None) -> dict:
        """ReMapCNN's outputs with the flow as FlowRefinementCNN leaves it; flows: see `dress`."""
        out = self._first_stage(params, donor, final, points, visible) if flows is None else flows
        dress_labels, joints = self._dress_labels(donor), (donor.layout.keypoints, donor.layout.visible)
        inputs = blending.refinement_inputs(donor.image, dress_labels, *joints, final, points, visible)
        refined = self._refinement(*inputs, *(out[n] for n in ("coarse_flow", "first_flow", "first_shown")))
        s_dress = segmentation.one_hot(dress_labels)
        return out | refined | blending.follow(refined["coarse_flow"], out["mask"], donor.image, s_dress)

    @functools.cached_property
    def _flows(self):
        names = ("coarse_flow", "mask", "first_flow", "first_shown")
        return jax.jit(lambda *a: {n: value for n, value in self._first_stage(*a).items() if n in names})

    def flows(
        self, donors: Garment, final: np.ndarray, points: np.ndarray, visible: np.ndarray, batch: int = 8
    ) -> dict:
        """What FlowRefinementCNN starts from, for donors [B] and target maps [B, H, W] with joints [B, 18, 2]:
        ReMapCNN's 'coarse_flow' and 'mask', and the geometric 'first_flow' with 'first_shown'."""
        return in_batches(lambda part: self._flows(self._re_map, *part), (donors, final, points, visible), batch)

    @functools.cached_property
    def _dress(self):
        def dress(triple, re_map_params, user_image, user_labels, donor, final, pose_points, pose_visible, flows=None):
            count = final.shape[0]
            spread = lambda a: jnp.broadcast_to(a, (count, *jnp.shape(a)))  # noqa: E731
            if donor.image.ndim == 3:
                donor = jax.tree.map(spread, donor)
                user_image, user_labels = spread(user_image), spread(user_labels)
            labels = donor.layout.segmentation.astype(jnp.int32)
            donated = blending.garment_mask(labels, donor.garment_type)
            s_dress = segmentation.one_hot(jnp.where(donated, labels, 0))
            s_output = segmentation.one_hot(final.astype(jnp.int32))
            s_input = segmentation.one_hot(user_labels.astype(jnp.int32))
            garment_out = blending.target_mask(final.astype(jnp.int32), donor.garment_type)
            flow = jnp.zeros((count, *self.size, 2))
            given, s_given, re_map = donor.image, s_dress, None
            if self.arm != "none":
                re_map = self._remapped(re_map_params, donor, final, pose_points, pose_visible, flows)
                flow = re_map["flow"]
                if self.arm != "post":
                    placed = blending.place_dress(re_map, donor.image, s_dress, garment_out)
                    given, s_given = placed["dress_image"], placed["s_dress"]
            out = self.triple_guided.apply(triple, user_image, given, s_output, s_input, s_given)
            if self.arm == "post":
                out["image"] = blending.blend_after(out["image"], re_map, garment_out)
            photo_share, dress_share = blending.shares(self.arm, out, re_map, garment_out)
            nothing = jnp.zeros_like(flow), jnp.zeros_like(dress_share)
            return Dressed(jnp.clip(out["image"], 0, 1), final, flow, photo_share, dress_share, *nothing)

        return jax.jit(dress)

    def dress(
        self,
        user_image: np.ndarray,
        user: Layout,
        donor: Garment,
        final: np.ndarray,
        poses: Layout,
        batch: int = 4,
        flows: dict | None = None,
    ) -> "Dressed":
        """Paints final maps [T, H, W].

        `user_image` is a float picture [H, W, 3]; user and donor may also carry a leading axis T. `flows` is what the
        method of that name gave for the same maps (leading axis T), where it is known already.
        """
        many = user_image.ndim == 4

        def part(frames):
            final, points, visible, flows, *rest = frames
            who = rest if many else (user_image, user.segmentation, donor)
            return self._dress(self._triple, self._re_map, *who, final, points, visible, flows)

        frames = [final, poses.keypoints, poses.visible, flows]
        if many:
            frames += [user_image, user.segmentation, donor]
        return in_batches(part, tuple(frames), batch)

    @functools.cached_property
    def _keep(self):
        def keep(params, image, own, shown, final, points, visible):
            own = jax.tree.map(lambda a: jnp.broadcast_to(a, (len(final), *jnp.shape(a))), own)
            out = self._remapped(params, own, final, points, visible, None)
            known = geometry.warp(jnp.broadcast_to(shown[..., None], (len(final), *shown.shape, 1)), out["flow"])
            out["mask"] *= known
            region = blending.target_mask(final.astype(jnp.int32), own.garment_type)
            return blending.blend_after(image, out, region), out["flow"], out["mask"][..., 0] * region

        return jax.jit(keep)

    def keep_other_garment(
        self,
        dressed: Dressed,
        user_image: np.ndarray,
        user: Layout,
        donor: Garment,
        final: np.ndarray,
        poses: Layout,
        shown: np.ndarray | None = None,
    ) -> Dressed:
        """What the user goes on wearing, above or below the donor's garment, moved there by its own flow.

        The painter knows its colours alone. Arguments as in `dress`, for one user; shown: bool [H, W], what of the
        photo is not made up (`normalisation.Place.shown`), by default all. The result of the arm `none`, of a donated
        dress, and of a user who wears no other garment, is `dressed` itself.
        """
        other = {"upper": "lower", "lower": "upper"}.get(segmentation.GARMENT_TYPES[int(donor.garment_type)])
        if self.arm == "none" or other is None:
            return dressed
        worn = segmentation.region(np.asarray(user.segmentation), segmentation.GARMENT_LABELS[other])
        if worn.mean() < LEAST_GARMENT:
            return dressed
        own = Garment(
            image=np.where(worn[..., None], user_image, np.float32(1)),
            layout=user,
            garment_type=np.int32(segmentation.GARMENT_TYPES.index(other)),
            flat=np.bool_(False),
        )
        shown = np.float32(np.ones(self.size) if shown is None else shown)
        image, flow, share = in_batches(
            lambda part: self._keep(self._re_map, part[0], own, shown, *part[1:]),
            (dressed.image, final, poses.keypoints, poses.visible),
            4,
        )
        rest = {name: getattr(dressed, name) * (1 - share) for name in ("photo_share", "dress_share")}
        return dressed.replace(image=image, photo_flow=flow, moved_share=share, **rest)
