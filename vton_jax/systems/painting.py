"""What the systems share that paint a person into target layouts: the other garment moves along, and what the photo
keeps is laid over.

Conventions: frames are float [T, H, W, 3] in [0, 1] of the networks' size; layouts are `types.Layout`; final maps uint8
[T, H, W].
"""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.compositing import ends, kept_parts
from vton_jax.core import geometry, programs, segmentation
from vton_jax.core.batching import ahead, in_batches, spread
from vton_jax.core.types import Dressed, Garment, Layout, User
from vton_jax.systems.garments import other_garment, type_of_all
from vton_jax.systems.relighting import Relighting, relit
from vton_jax.warping import blending

BATCH = 4  # frames that are painted in one program
_LEAST_SEEN = 1e-2  # of a pixel, whose colours can be told


@programs.compiled()
def _keep(image: jax.Array, shown: jax.Array, labels: jax.Array, own: Garment, flows: tuple[dict, jax.Array]):
    """`image` with the user's own garment over it, how much of each pixel it is, and the flow that brought it.

    What the network answers for the garment on its own wearer, where nothing moves, it answers wrongly: it is taken
    off where a flow leads to. Args: flows: `re_mapped` of the targets, and the 'flow' of the wearer's own layout.
    """
    re_map, mistaken = flows
    flow = re_map["flow"] - geometry.warp(mistaken, re_map["flow"])
    worn = (shown * (blending.dress_labels(own) > 0))[..., None]
    seen = geometry.warp(jnp.concatenate([own.image * worn, worn], -1), flow)
    # The cloth's own colours to its outline: the white around it would show as a rim.
    colours = seen[..., :3] / jnp.maximum(seen[..., 3:], _LEAST_SEEN)
    mask = re_map["mask"] * seen[..., 3:]
    region = blending.target_mask(segmentation.scarf_as_top(labels.astype(jnp.int32)), own.garment_type)
    brought = {"flow": flow, "warped": colours, "mask": mask}
    return blending.blend_after(image, brought, region), mask[..., 0] * region, flow


def stacked_users(users: Sequence[User]) -> User:
    """Users [T], of whom networks see pictures and labels alone."""
    labels = np.stack([np.asarray(user.layout.segmentation) for user in users])
    return User(np.stack([user.image for user in users]), Layout(labels, None, None), None, None)


class Painting:
    """Painters derive from it. They have:

    - dress(user, garment, targets) -> Dressed [T]: the user, or users [T], painted into target layouts [T], in the
      garment.
    - dress_together(user, garments, targets) -> Dressed [T]: the same in several garments, where the system knows how.
    - re_mapped(garments, targets) -> {'flow', 'warped', 'mask'}: garments [T] moved to where targets [T] wear them.
    - warps: whether there is a `re_mapped`.
    """

    warps = True
    relighting: Relighting | None = None
    _still: tuple[User, int, np.ndarray] | None = None  # of whom last, exchanging what, see `_flow_of_nothing`

    def rehearse(self, user: User, garment: Garment, targets: Layout) -> None:
        """Calls the programs of `paint` on pictures of nothing, see `programs.rehearse`."""
        dressed = self.dress(user, garment, targets)
        own = spread(garment.replace(sleeves=None), len(targets.segmentation))
        if self.warps:
            re_map, shown = self.re_mapped(own, targets), np.float32(dressed.photo_weight)
            given = dressed.image, shown, targets.segmentation, own, (re_map, re_map["flow"])
            in_batches(lambda part: _keep(*part), given, BATCH, full=True)
        if self.relighting is not None:
            self.relighting.lit(user, targets)

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
        flows = self.re_mapped(own, targets), self._flow_of_nothing(user, own)
        given = dressed.image, shown, targets.segmentation, own, flows
        image, weight, flow = in_batches(lambda part: _keep(*part), given, BATCH, full=True)
        rest = {name: getattr(dressed, name) * (1 - weight) for name in ("photo_weight", "garment_weight")}
        return dressed.replace(image=image, photo_flow=flow, moved_weight=weight, **rest)

    def _flow_of_nothing(self, user: User | Sequence[User], own: Garment) -> np.ndarray:
        """The flow [T, H, W, 2] of garments [T] on their own wearers, in the photo's own layout; the truth is zero.

        Of one user it is found once, however many frames follow.
        """
        if not isinstance(user, User):
            return self.re_mapped(own, jax.tree.map(lambda *a: np.stack(a), *(one.layout for one in user)))["flow"]
        kind = int(own.garment_type[0])
        if self._still is None or self._still[0] is not user or self._still[1] != kind:
            alone = (
                jax.tree.map(lambda a: np.asarray(a)[:1], own),
                jax.tree.map(lambda a: np.asarray(a)[None], user.layout),
            )
            self._still = user, kind, self.re_mapped(*alone)["flow"][0]
        return spread(self._still[2], len(own.garment_type))

    def paint(self, user: User | Sequence[User], garments: Sequence[Garment], targets: Layout) -> Iterator[Dressed]:
        """`dress`, and what is kept of the user's photo. Yields frames without the leading axis, with the labels of the
        head that was carried there.

        Args: user: as one photo shows them, or as each target's own photo does.
        """
        for of in self._painted(user, garments, targets):
            yield ends.restore(*of)

    def paint_all(
        self, batches: Iterator[tuple[User | Sequence[User], Layout]], garments: Sequence[Garment]
    ) -> Iterator[Dressed]:
        """`paint` of one (user, targets) after the other: while networks paint, what is kept of the photo is laid over
        those before.
        """
        for painted in ahead((self._painted(user, garments, targets) for user, targets in batches), 1):
            for of in painted:
                yield ends.restore(*of)

    def _painted(self, user: User | Sequence[User], garments: Sequence[Garment], targets: Layout) -> list[tuple]:
        """What networks paint, and all else that `ends.restore` takes of each frame. Arguments as in `paint`."""
        at = lambda tree, index: jax.tree.map(lambda a: a[index], tree)  # noqa: E731
        poses = [at(targets, index) for index in range(len(targets.segmentation))]
        users = [user] * len(poses) if isinstance(user, User) else user
        heads = [kept_parts.carried_head(user, pose) for user, pose in zip(users, poses, strict=True)]
        finals = [kept_parts.with_head(pose.segmentation, head) for pose, head in zip(poses, heads, strict=True)]
        finals, whole = zip(*map(ends.with_ends, finals, users, poses), strict=True)
        targets = targets.replace(segmentation=np.stack(finals))
        seen = user if isinstance(user, User) else stacked_users(users)
        if len(garments) > 1:
            dressed = self.dress_together(seen, tuple(garments), targets)
        else:
            dressed = self.dress(seen, garments[0], targets)
            dressed = self.keep_other_garment(dressed, user, garments[0], targets)
        lit = [None] * len(poses)
        if self.relighting is not None:
            own, bright = self.relighting.lit(user if isinstance(user, User) else None, targets)
            dressed = relit(dressed, garments, bright)
            lit = [(one if own is None else own, one) for one in bright]
        return [
            (at(dressed, index), user, pose, head, type_of_all(garments), lit[index], whole[index])
            for index, (user, pose, head) in enumerate(zip(users, poses, heads, strict=True))
        ]
