"""The backward procedure as the talk shows it first: an image is presented, and the decoder's nearest one looked for.

What is presented is the photo with a garment laid onto it by ReMapCNN; z glides to the latent whose
image explains it, and that image shows the outfit as one that somebody could wear.

Conventions: images are float [H, W, 3] in [0, 1] of the networks' size.
"""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import programs
from vton_jax.core.types import Garment, Layout
from vton_jax.layout import completion, garment_types, inversion, solvers
from vton_jax.systems.job import Reading
from vton_jax.systems.lab126.system import Lab126
from vton_jax.systems.lab126.target_layouts import PRIOR_WEIGHT
from vton_jax.warping import blending

_IMAGE_WEIGHT = 50.0  # beside the latents' prior: an image says more of z than a layout does


@programs.compiled()
def _laid_on(image: jax.Array, garment: Garment, target: Layout, re_map: dict) -> jax.Array:
    """`image` with the garment where ReMapCNN puts it; everything with a leading axis."""
    wanted = blending.target_mask(target.segmentation.astype(jnp.int32), garment.garment_type)
    return image + re_map["mask"] * wanted[..., None] * (re_map["warped"] - image)


def presented(system: Lab126, reading: Reading) -> np.ndarray:
    """The photo of a reading with the garment laid onto it, in the photo's own pose."""
    garment, user = reading.shown_garment, reading.user
    layout = garment_types.split_dress(user.layout, garment.garment_type)
    own = jax.tree.map(lambda a: np.asarray(a)[None], (user.image, garment, layout))
    coarse, _ = system.layouts.coarse(layout, garment, own[2])
    goal = own[2].replace(segmentation=completion.fill_unknown(np.asarray(coarse)))
    return np.asarray(_laid_on(own[0], own[1], goal, system.painter.re_mapped(own[1], goal))[0])


def iterations(system: Lab126, image: np.ndarray, solver: str, count: int) -> Iterator[tuple[np.ndarray, float]]:
    """The search, watched: (the decoder's best image so far, its Err), beginning with the photo's own latent.

    Err is the mean absolute difference from what is presented, 0 to 1. In place of the layouts' Gauss-Newton matrix,
    L-BFGS works in coordinates of the latents' covariance.
    """
    reader = system.reader
    decode = functools.partial(reader.multi_path.apply, reader.multi_path_params, paths=("image",), method="decode")
    made = solvers.make("adam" if solver == "adam" else "lbfgs", reader.covariance, None, PRIOR_WEIGHT)
    loss = inversion.image_loss(decode, reader.whiten, _IMAGE_WEIGHT)
    steps = inversion.make_steps(loss, made.optimizer)
    z = reader.latents(np.uint8(255 * image + 0.5)[None])
    state = inversion.start(jnp.array(z), made.optimizer)
    for current, _ in inversion.iterate(steps, state, image[None], count, made.thresholds):
        yield np.asarray(reader.smoothed(current.best_z))[0], float(current.best_error[0])
