"""What FiNet's networks see of somebody whose region is filled in: one code for training and for use.

Conventions: `Case` holds one person or, its arrays stacked, several, [B, ...]; pictures float [H, W, 3] in [0, 1], 128
rows as the networks know them; classes and regions as in `layout.inpainting`. What networks see of a case are tuples of
parts for `layers.PatchEmbedding`, all [B, ...].
"""

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from vton_jax.core import geometry, keypoints
from vton_jax.layout import inpainting
from vton_jax.models.finet_cnn import SKETCH, FinetCNN, Gaussian, standard
from vton_jax.systems.finet.variants import Variant

_SIGMA = 1.0  # of the joints' bumps, in pixels of a quarter of the resolution


@flax.struct.dataclass
class Case:
    """Somebody, and the region that is filled in."""

    image: Any  # float [H, W, 3]
    classes: Any  # int32 [H, W]
    mask: Any  # bool [H, W], the region
    garment: Any  # bool [H, W], what is worn there
    region: Any  # int32 []
    pose: Any  # float [H/4, W/4, 18]


def case_of(image, labels, points, visible, region) -> Case:
    """One case from a picture, ATR's labels and joints."""
    size = image.shape[:2]
    classes = inpainting.classes_of(labels, points, visible)
    quarter = (size[0] // 4, size[1] // 4)
    pose = keypoints.pose_map(keypoints.scale(points, size, quarter), visible, quarter, _SIGMA)
    mask = inpainting.region_mask(classes, points, visible, region)
    return Case(image, classes, mask, inpainting.garment(classes, region), jnp.asarray(region, jnp.int32), pose)


def kinds(case: Case) -> jax.Array:
    """The regions one-hot, [B, 4]."""
    return jax.nn.one_hot(case.region, inpainting.NUM_REGIONS)


def contexts(case: Case) -> jax.Array:
    """The crops of the garments that stay, [B, 32, 32, 12]."""
    return jax.vmap(inpainting.contextual_garments)(case.image, case.classes, case.region)


def garment_crops(case: Case) -> jax.Array:
    """The crops of what is worn in the region, [B, 32, 32, 3]."""
    return jax.vmap(inpainting.crop)(case.image, case.garment)


# --------------------------------------------------------------------------------------------- what the networks see


def _person(case: Case) -> tuple[jax.Array, ...]:
    """The person representation and the layout without the region."""
    left = jax.nn.one_hot(case.classes, inpainting.NUM_CLASSES) * ~case.mask[..., None]
    return left, case.mask[..., None].astype(jnp.float32), case.pose


def base_parts(case: Case, stage: str, variant: Variant) -> tuple[jax.Array, ...]:
    """What the U-Net starts from: for the shape the person and what stays of the layout; for the appearance what stays
    of the picture, and the person with the whole layout or, in one stage, with what the shape network would have. The
    paper's second stage sees no joints; but a sleeve before the trunk is of the trunk's class."""
    if stage == "shape":
        return _person(case)
    left, person = case.image * ~case.mask[..., None], _person(case)
    if variant.two_stages:
        person = jax.nn.one_hot(case.classes, inpainting.NUM_CLASSES), *person[1:]
    return left, *person


def target_parts(case: Case, stage: str, variant: Variant) -> tuple[jax.Array, ...]:
    """What the encoder sees of the garment that is there: its outline beside the joints, or its crop."""
    if not has_latent(stage, variant) or not variant.encoder:
        return ()
    return (case.garment[..., None].astype(jnp.float32), case.pose) if stage == "shape" else (garment_crops(case),)


def context_parts(case: Case, stage: str, variant: Variant) -> tuple[jax.Array, ...]:
    """What the prior sees: the garments that stay, the person, or nothing."""
    if not has_latent(stage, variant) or variant.prior == "normal":
        return ()
    return (contexts(case),) if variant.prior == "garments" else _person(case)


def has_latent(stage: str, variant: Variant) -> bool:
    return stage == "shape" or variant.appearance_latent


def sketch_truth(case: Case, stage: str) -> jax.Array:
    """What the sketch should show: the garment's crop, [B, 8, 8, 3], or its outline, [B, 8, 8, 1]."""
    if stage == "shape":
        crops = jax.vmap(inpainting.crop)(jnp.zeros((*case.garment.shape, 1)), case.garment)
    else:
        crops = garment_crops(case)
    return geometry.resize(crops, (SKETCH, SKETCH))


# ------------------------------------------------------------------------------------------------- what they make of it


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage's network, `shape` or `appearance`, in a variant; hashable, for `static_argnums`."""

    name: str
    network: FinetCNN
    variant: Variant


def posterior(stage: Stage, params, case: Case) -> Gaussian:
    """q(z | x) of the garment that is worn, [B, N]; N(0, I) without an encoder."""
    parts = target_parts(case, stage.name, stage.variant)
    if not parts:
        return standard(len(case.region), stage.network.latent_size)
    return stage.network.apply(params, *parts, method="encode")


def prior(stage: Stage, params, case: Case) -> Gaussian:
    """p(z | x_c) by what the variant lets the prior know, [B, N]."""
    parts = context_parts(case, stage.name, stage.variant)
    if not parts:
        return standard(len(case.region), stage.network.latent_size)
    return stage.network.apply(params, *parts, method="prior")


def fill(stage: Stage, params, case: Case, z: jax.Array) -> jax.Array:
    """Logits of classes [B, H, W, 8], or the picture [B, H, W, 3] with its region painted.

    For a picture with another layout than the photo's, `case.classes` is that one.
    """
    z = z if has_latent(stage.name, stage.variant) else jnp.zeros_like(z)
    parts = base_parts(case, stage.name, stage.variant)
    filled = stage.network.apply(params, parts, z, kinds(case), method="fill")
    if stage.name == "shape":
        return filled
    return jnp.where(case.mask[..., None], jax.nn.sigmoid(filled), case.image)
