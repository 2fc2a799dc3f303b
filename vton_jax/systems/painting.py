"""What the systems share that paint a person into target layouts: the other garment moves along, and what the photo
keeps is laid over.

Conventions: frames are float [T, H, W, 3] in [0, 1] of the networks' size; layouts are `types.Layout`; final maps uint8
[T, H, W].
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.compositing import kept_parts
from vton_jax.core import geometry
from vton_jax.core.batching import in_batches, spread
from vton_jax.core.types import Dressed, Garment, Layout, User
from vton_jax.systems.garments import other_garment
from vton_jax.warping import blending

BATCH = 4  # frames that are painted in one program


@jax.jit
def _keep(image: jax.Array, shown: jax.Array, labels: jax.Array, garment_type: jax.Array, re_map: dict):
    mask = re_map["mask"] * geometry.warp(shown[..., None], re_map["flow"])
    region = blending.target_mask(labels.astype(jnp.int32), garment_type)
    return blending.blend_after(image, re_map | {"mask": mask}, region), mask[..., 0] * region


class Painting:
    """Painters derive from it. They have:

    dress(user, garment, targets) -> Dressed [T]: the user painted into target layouts [T], in the garment.
    re_mapped(garments, targets) -> {'flow', 'warped', 'mask'}: garments [T] moved to where targets [T] wear them.
    warps: whether there is a `re_mapped`.
    """

    warps = True

    def keep_other_garment(self, dressed: Dressed, user: User, garment: Garment, targets: Layout) -> Dressed:
        """What the user goes on wearing, above or below the donor's garment, moved there by its own flow.

        Networks that paint know its colours alone. Arguments as in `dress`, for one user. Where nothing is warped, or
        nothing else worn, the result is `dressed` itself.
        """
        own = other_garment(user, garment) if self.warps else None
        if own is None:
            return dressed
        own, shown = spread((own, np.float32(user.shown)), len(targets.segmentation))
        re_map = self.re_mapped(own, targets)
        given = dressed.image, shown, targets.segmentation, own.garment_type, re_map
        image, weight = in_batches(lambda part: _keep(*part), given, BATCH, full=True)
        rest = {name: getattr(dressed, name) * (1 - weight) for name in ("photo_weight", "garment_weight")}
        return dressed.replace(image=image, photo_flow=re_map["flow"], moved_weight=weight, **rest)

    def paint(self, user: User, garment: Garment, targets: Layout) -> Iterator[Dressed]:
        """`dress`, and what is kept of the user's photo. Yields frames without the leading axis, with the labels of the
        head that was carried there."""
        at = lambda tree, index: jax.tree.map(lambda a: a[index], tree)  # noqa: E731
        poses = [at(targets, index) for index in range(len(targets.segmentation))]
        heads = [kept_parts.carried_head(user, pose) for pose in poses]
        finals = [kept_parts.with_head(pose.segmentation, head) for pose, head in zip(poses, heads, strict=True)]
        targets = targets.replace(segmentation=np.stack(finals))
        dressed = self.dress(user, garment, targets)
        dressed = self.keep_other_garment(dressed, user, garment, targets)
        for index, (pose, head) in enumerate(zip(poses, heads, strict=True)):
            yield kept_parts.restore(at(dressed, index), user, pose, head, int(garment.garment_type))
