"""What the systems share that paint a person into target layouts: the other garment moves along, and what the photo
keeps is laid over.

Conventions: frames are float [T, H, W, 3] in [0, 1] of the networks' size; layouts are `types.Layout`; final maps uint8
[T, H, W].
"""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.compositing import kept_parts
from vton_jax.core import geometry
from vton_jax.core.batching import in_batches, spread
from vton_jax.core.types import Dressed, Garment, Layout, User
from vton_jax.systems.garments import other_garment, type_of_all
from vton_jax.warping import blending

BATCH = 4  # frames that are painted in one program


@jax.jit
def _keep(image: jax.Array, shown: jax.Array, labels: jax.Array, garment_type: jax.Array, re_map: dict):
    mask = re_map["mask"] * geometry.warp(shown[..., None], re_map["flow"])
    region = blending.target_mask(labels.astype(jnp.int32), garment_type)
    return blending.blend_after(image, re_map | {"mask": mask}, region), mask[..., 0] * region


def stacked_users(users: Sequence[User]) -> User:
    """Users [T], of whom networks see pictures and labels alone."""
    labels = np.stack([np.asarray(user.layout.segmentation) for user in users])
    return User(np.stack([user.image for user in users]), Layout(labels, None, None), None, None)


class Painting:
    """Painters derive from it. They have:

    dress(user, garment, targets) -> Dressed [T]: the user, or users [T], painted into target layouts [T], in the
        garment.
    dress_together(user, garments, targets) -> Dressed [T]: the same in several garments, where the system knows how.
    re_mapped(garments, targets) -> {'flow', 'warped', 'mask'}: garments [T] moved to where targets [T] wear them.
    warps: whether there is a `re_mapped`.
    """

    warps = True

    def keep_other_garment(
        self, dressed: Dressed, user: User | Sequence[User], garment: Garment, targets: Layout
    ) -> Dressed:
        """What the user goes on wearing, above or below the donor's garment, moved there by its own flow.

        Networks that paint know its colours alone. Arguments as in `paint`. Where nothing is warped, or nothing else
        worn, the result is `dressed` itself.
        """
        each = [user] if isinstance(user, User) else user
        found = [other_garment(user, garment) if self.warps else None for user in each]
        worn = [own for own in found if own is not None]
        if not worn:
            return dressed
        shown = [np.float32(user.shown) * (own is not None) for user, own in zip(each, found, strict=True)]
        own = jax.tree.map(lambda *a: np.stack(a), *(worn[0] if own is None else own for own in found))
        if isinstance(user, User):
            own, shown = spread((jax.tree.map(lambda a: a[0], own), shown[0]), len(targets.segmentation))
        shown = np.stack(shown)
        re_map = self.re_mapped(own, targets)
        given = dressed.image, shown, targets.segmentation, own.garment_type, re_map
        image, weight = in_batches(lambda part: _keep(*part), given, BATCH, full=True)
        rest = {name: getattr(dressed, name) * (1 - weight) for name in ("photo_weight", "garment_weight")}
        return dressed.replace(image=image, photo_flow=re_map["flow"], moved_weight=weight, **rest)

    def paint(self, user: User | Sequence[User], garments: Sequence[Garment], targets: Layout) -> Iterator[Dressed]:
        """`dress`, and what is kept of the user's photo. Yields frames without the leading axis, with the labels of the
        head that was carried there.

        Args: user: as one photo shows them, or as each target's own photo does.
        """
        at = lambda tree, index: jax.tree.map(lambda a: a[index], tree)  # noqa: E731
        poses = [at(targets, index) for index in range(len(targets.segmentation))]
        users = [user] * len(poses) if isinstance(user, User) else user
        heads = [kept_parts.carried_head(user, pose) for user, pose in zip(users, poses, strict=True)]
        finals = [kept_parts.with_head(pose.segmentation, head) for pose, head in zip(poses, heads, strict=True)]
        targets = targets.replace(segmentation=np.stack(finals))
        seen = user if isinstance(user, User) else stacked_users(users)
        if len(garments) > 1:
            dressed = self.dress_together(seen, tuple(garments), targets)
        else:
            dressed = self.dress(seen, garments[0], targets)
            dressed = self.keep_other_garment(dressed, user, garments[0], targets)
        for index, (user, pose, head) in enumerate(zip(users, poses, heads, strict=True)):
            yield kept_parts.restore(at(dressed, index), user, pose, head, type_of_all(garments))
