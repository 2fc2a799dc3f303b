"""The three stages of ClothFlow as functions of structs, for training and try-on alike.

Conventions: structs carry a leading axis B. `rest` is the pair (picture [B, H, W, 3], labels int [B, H, W]) of the
source without its clothing, see `rest_of`; a `Garment` is the clothing. A network is an unbound module, `params` its
parameters. Stages 1 and 2 see pictures at half their size.
"""

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, keypoints, segmentation
from vton_jax.core.types import Garment, Layout
from vton_jax.layout import body_map
from vton_jax.layout.body import body_of
from vton_jax.models.clothflow_flow import ClothFlowFlow
from vton_jax.models.clothflow_layout import ClothFlowLayout
from vton_jax.models.clothflow_render import ClothFlowRender
from vton_jax.warping import blending, thin_plate_spline

HALF = 2  # stages 1 and 2 see pictures so many times smaller
GREY = 0.5  # where the source's clothing was
NUM_DENSE = 2 * len(body_map.LIMBS) + 3


def rest_of(image: jax.Array, labels: jax.Array, garment_type: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A user [B, H, W, 3] with labels [B, H, W] without what a garment replaces: grey there, and `UNKNOWN`."""
    labels = labels.astype(jnp.int32)
    gone = blending.replaced_mask(labels, garment_type)
    return jnp.where(gone[..., None], GREY, image), jnp.where(gone, segmentation.UNKNOWN, labels)


# --------------------------------------------------------------------------------------------------------------- poses


def dense_pose(layout: Layout) -> jax.Array:
    """The surface of a body fitted to the joints, float [B, H/4, W/4, 19]: of each limb whether a pixel is on it and
    how far along, then of the trunk whether, how far down and how far across."""
    size = layout.segmentation.shape[-2:]
    small = (size[0] // 4, size[1] // 4)

    def one(points, visible):
        points = keypoints.scale(points, size, small)
        # The labels say the size alone.
        body, pixels = body_of(Layout(jnp.zeros(small, jnp.int32), points, visible), small), geometry.grid(small)
        near, place = body_map.limb_place(pixels, body)
        fraction, across = body_map.trunk_coordinates(pixels, body)
        on = jnp.exp(-jnp.square(near))
        trunk = jnp.exp(-jnp.square(across)) * ((fraction > -0.1) & (fraction < 1.1))
        rest = jnp.stack([trunk, trunk * fraction, trunk * jnp.clip(across, -2, 2)])
        return jnp.moveaxis(jnp.concatenate([on, on * place, rest]), 0, -1)

    return jax.vmap(one)(jnp.asarray(layout.keypoints, jnp.float32), jnp.asarray(layout.visible))


def pose_maps(layout: Layout, dense: bool) -> jax.Array:
    """Pose maps [B, H/4, W/4, 18], and with `dense` the body's surface behind them."""
    maps = blending.pose_map(layout)
    return jnp.concatenate([maps, dense_pose(layout)], -1) if dense else maps


def _half(image: jax.Array) -> jax.Array:
    return geometry.block_means(image, HALF)


def _half_labels(labels: jax.Array) -> jax.Array:
    return segmentation.soft_maps(labels.astype(jnp.int32), HALF)


# -------------------------------------------------------------------------------------------------------------- stages


def layout_inputs(dense: bool, garment: Garment, rest: tuple, target: Layout) -> tuple:
    """What `ClothFlowLayout` is given; of the target the joints alone."""
    clothing = _half(garment.image), _half_labels(blending.dress_labels(garment))
    return *clothing, _half(rest[0]), _half_labels(rest[1]), _half(pose_maps(target, dense))


def target_labels(network: ClothFlowLayout, params, garment: Garment, rest: tuple, target: Layout) -> jax.Array:
    """Stage 1: the target segmentation s^_t, uint8 [B, H, W]."""
    logits = network.apply(params, *layout_inputs(network.dense, garment, rest, target))["segmentation"]
    return geometry.resize(logits, target.segmentation.shape[-2:]).argmax(-1).astype(jnp.uint8)


def flow_inputs(dense: bool, garment: Garment, target: Layout) -> tuple:
    """What `ClothFlowFlow` is given; of the target's segmentation the garment alone."""
    labels = target.segmentation.astype(jnp.int32)
    worn = jnp.where(blending.target_mask(labels, garment.garment_type), labels, 0)
    clothing = _half(garment.image), _half_labels(blending.dress_labels(garment))
    poses = (_half(pose_maps(one, dense)) for one in (garment.layout, target))
    return *clothing, _half_labels(worn), *poses


def spline_flow(garment: Garment, target: Layout) -> jax.Array:
    """A thin-plate-spline warp in place of stage 2, [B, H/2, W/2, 2] in pixels there. Computed by NumPy."""
    masks = (
        blending.dress_labels(garment) > 0,
        blending.target_mask(target.segmentation.astype(jnp.int32), garment.garment_type),
    )
    source, goal = (_half(mask[..., None].astype(jnp.float32))[..., 0] >= 0.5 for mask in masks)

    def each(source, goal):
        return np.stack(
            [thin_plate_spline.flow(a, b) for a, b in zip(np.asarray(source), np.asarray(goal), strict=True)]
        )

    return jax.pure_callback(each, jax.ShapeDtypeStruct((*goal.shape, 2), jnp.float32), source, goal)


def clothing_flow(kind: str, network: ClothFlowFlow | None, params, garment: Garment, target: Layout) -> jax.Array:
    """Stage 2: the flow [B, H/2, W/2, 2] in pixels there, by `kind`, see `variants.Variant.flow`."""
    if kind == "none":
        height, width = target.segmentation.shape[-2:]
        return jnp.zeros((len(garment.image), height // HALF, width // HALF, 2))
    if kind == "spline":
        return spline_flow(garment, target)
    return network.apply(params, *flow_inputs(network.dense, garment, target))["flow"]


def moved(garment: Garment, flow: jax.Array) -> dict[str, jax.Array]:
    """The clothing along a flow [B, h, w, 2]: c'_s = W(c_s, F) at full size.

    Returns: {'flow' [B, H, W, 2], 'warped' [B, H, W, 3], 'mask' [B, H, W, 1], how much of a pixel is clothing}.
    """
    flow = geometry.resize_flow(flow, garment.image.shape[1:3])
    worn = (blending.dress_labels(garment) > 0)[..., None].astype(jnp.float32)
    seen = geometry.warp(jax.lax.stop_gradient(jnp.concatenate([garment.image, worn], -1)), flow)
    return {"flow": flow, "warped": seen[..., :3], "mask": seen[..., 3:]}


def render(network: ClothFlowRender, params, warped: jax.Array, rest: tuple, target: Layout) -> dict[str, jax.Array]:
    """Stage 3: {'image', 'painted', 'weights'}, see `ClothFlowRender`."""
    labels = segmentation.one_hot(target.segmentation.astype(jnp.int32))
    return network.apply(params, warped, rest[0], labels, pose_maps(target, network.dense))
