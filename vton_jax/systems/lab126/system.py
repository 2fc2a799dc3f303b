"""The system of the Lab126 talk: user, garment and poses -> results.

The way: read user, garment and pose frames (forward procedure) -> coarse target segmentation -> backward procedure ->
TripleGuidedCNN and ReMapCNN in one of four arms.
"""

import collections
import functools
import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from vton_jax.compositing import hidden_cloth
from vton_jax.core import batching, programs, segmentation
from vton_jax.core.keypoints import NUM_JOINTS
from vton_jax.core.types import Garment, Layout, Pose, Result, Target, User
from vton_jax.layout import garment_fit, garment_types, solvers
from vton_jax.systems.garments import other_garment, own_garment, worn_together
from vton_jax.systems.lab126.painter import Painter
from vton_jax.systems.lab126.target_layouts import CHUNK, LayoutName, Search, TargetLayouts, same_pose
from vton_jax.systems.reader import Reader
from vton_jax.systems.reading import ReadsPictures


class Lab126(ReadsPictures):
    """A `TryOnSystem`: a reader, the target layouts and the painter of one arm.

    Args: arm: a name in `arms.ARMS`. folder: where the weights lie, by default the released ones. solver: of the
    backward procedure, one of `solvers.NAMES`. layout: how target layouts are found, see `TargetLayouts`. Programs are
    compiled on first use. Raises: UserError for another arm, or weights that are missing.
    """

    tucks = moving = True

    def __init__(
        self,
        arm: str = "joint",
        folder: str | Path | None = None,
        solver: solvers.Name = "gauss_newton",
        layout: LayoutName = "refined",
    ):
        super().__init__(Reader(folder))
        self.layouts = TargetLayouts(self.reader, folder, solver, layout)
        self.painter = Painter(arm, self.size, folder)

    def dress(self, user: User | Iterator[User], garments: Sequence[Garment], poses: Pose) -> Iterator[Result]:
        """See `TryOnSystem`. Raises: GarmentsExclude."""
        garments = tuple(garments) or (own_garment(user),)
        garment, *beside = worn_together(garments)
        kind = garment.garment_type
        if isinstance(user, User):
            who = user.replace(layout=garment_types.split_dress(user.layout, kind))
        else:
            who = User(None, garment_types.split_dresses(poses.layout, kind), poses.latent, None)
            users = (one.replace(layout=garment_types.split_dress(one.layout, kind)) for one in user)
        # Layouts are found while the frames before are painted: each keeps a core busy that the other leaves.
        targets = batching.ahead(self.layouts.targets(who, garment, poses, *beside), 2 * CHUNK)
        worn = [one.replace(tuck=None) for one in garments]  # layouts know it
        whole = None
        if isinstance(user, User) and not beside and other_garment(who, garment) is not None:
            there = None
            if len(poses.latent) == 1 and same_pose(who.layout, poses.layout):
                there = next(targets)
                targets = itertools.chain([there], targets)
            whole = self._whole(who, garment, there)
        painted = who if whole is None else whole.user
        taken = collections.deque()

        def batches() -> Iterator[tuple[User | list[User], Layout]]:
            for first in range(0, len(poses.latent), CHUNK):
                part = list(itertools.islice(targets, CHUNK))
                taken.extend(part)
                seen = jax.tree.map(lambda a, f=first: a[f : f + CHUNK], poses.layout)
                goal = seen.replace(segmentation=np.stack([target.final for target in part]))
                yield painted if isinstance(user, User) else list(itertools.islice(users, len(part))), goal

        for dressed in self.painter.paint_all(batches(), worn):
            yield Result(dressed=dressed if whole is None else whole.copied(dressed), target=taken.popleft())

    def _whole(self, user: User, garment: Garment, target: Target | None) -> hidden_cloth.Completed | None:
        """The user with all of the clothes that stay, see `hidden_cloth`. Args: target: where the photo's own pose is
        all that is wanted.
        """
        own = Pose(jax.tree.map(lambda a: np.asarray(a)[None], user.layout), user.latent[None])
        final = (target or next(self.layouts.targets(user, garment, own))).final
        return hidden_cloth.completed(user, final, int(garment.garment_type), bag_stays=target is not None)

    def rehearse(self) -> list[threading.Thread]:
        """See `TryOnSystem`: the programs of a clip whose person exchanges one garment."""
        labels = np.zeros(self.size, np.uint8)
        labels[:8] = segmentation.ID["upper-clothes"]
        layout = Layout(labels, np.zeros((NUM_JOINTS, 2), np.float32), np.zeros(NUM_JOINTS, bool))
        picture, kind = np.zeros((*self.size, 3), np.float32), np.int32(segmentation.GARMENT_TYPES.index("upper"))
        user = User(picture, layout, None, np.ones(self.size, bool))
        below = layout.replace(segmentation=labels[::-1])  # another's garment, not the user's own
        garment = Garment(picture, below, kind, np.bool_(True), sleeves=garment_fit.ANY_SLEEVES)
        targets = batching.spread(layout, CHUNK)
        # Two threads beside the one that reads. What that waits for comes first; what one paints with, both share.
        paint = functools.partial(self.painter.rehearse, user, garment, targets)
        return programs.rehearse(
            lambda: (self.reader.pictures.rehearse(), paint()),
            lambda: (self.layouts.composed(layout, garment, targets), paint()),
        )

    def dress_live(self, garments: Sequence[Garment], frames: Iterator[tuple[User, Pose]]) -> Iterator[Result]:
        """See `TryOnSystem`. As `dress` has it of a user who moves: z starts from the frame before."""
        garment, *beside = worn_together(garments)
        other = beside[0].layout if beside else None
        worn = [one.replace(tuck=None) for one in garments]  # layouts know it
        search = Search(self.layouts)
        for user, pose in frames:
            user = user.replace(layout=garment_types.split_dress(user.layout, garment.garment_type))
            with batching.awaited():
                found = self.layouts.composed(user.layout, garment, pose.layout, beside=other)
            here = jax.tree.map(lambda a: a[0], found)
            target = search.next(here, pose, user.layout, user.latent)
            goal = pose.layout.replace(segmentation=target.final[None])
            with batching.awaited():
                dressed = next(iter(self.painter.paint([user], worn, goal)))
            yield Result(dressed=dressed, target=target)
