"""The system of the ClothFlow paper: user, garment and poses -> results.

X. Han and others, "ClothFlow: A Flow-Based Model for Clothed Person Generation", ICCV 2019. The way: read user, garment
and pose frames -> target segmentation (stage 1) -> the clothing along its flow (stage 2) -> picture (stage 3). In
pose-guided person generation the garment is all that the user wears. What the photo keeps is laid over, as in lab126.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from vton_jax.core.batching import spread
from vton_jax.core.errors import SeveralGarments, UserError
from vton_jax.core.types import Garment, Pose, Result, Target, User
from vton_jax.layout import garment_types
from vton_jax.systems.clothflow.painter import Painter
from vton_jax.systems.garments import own_garment
from vton_jax.systems.painting import BATCH, stacked_users
from vton_jax.systems.reader import Reader
from vton_jax.systems.reading import ReadsPictures


class ClothFlow(ReadsPictures):
    """A `TryOnSystem`: a reader, and the painter of one variant.

    Args: variant: a name in `variants.VARIANTS`. folder: where ClothFlow's weights lie, by default the released ones;
    the reader's are always released. Programs are compiled on first use. Raises: UserError for another variant, or
    weights that are missing.
    """

    def __init__(self, variant: str = "full", folder: str | Path | None = None):
        self.painter = Painter(variant, folder)
        super().__init__(Reader())
        if self.painter.size != self.size:
            theirs, ours = ("x".join(map(str, size)) for size in (self.painter.size, self.size))
            raise UserError(f"ClothFlow's weights are of {theirs}, and pictures are read at {ours}.")

    moving = True

    def dress(self, user: User | Iterator[User], garments: Sequence[Garment], poses: Pose) -> Iterator[Result]:
        """See `TryOnSystem`. Raises: SeveralGarments, for it puts on one."""
        if len(garments) > 1:
            raise SeveralGarments("clothflow")
        garment = garments[0] if garments else own_garment(user)
        split = lambda one: one.replace(layout=garment_types.split_dress(one.layout, garment.garment_type))  # noqa: E731
        user, users = (split(user), None) if isinstance(user, User) else (None, map(split, user))
        for first in range(0, len(poses.layout.segmentation), BATCH):
            goal = jax.tree.map(lambda a, f=first: a[f : f + BATCH], poses.layout)
            count = len(goal.segmentation)
            here = list(itertools.islice(users, count)) if users else user
            # The backdrop is no part of what the networks see.
            seen = stacked_users(here) if users else spread(user.replace(backdrop=None), count)
            labels = self.painter.target_labels(seen, spread(garment, count), goal)
            painted = self.painter.paint(here, [garment], goal.replace(segmentation=labels))
            for final, dressed in zip(labels, painted, strict=True):
                yield Result(dressed=dressed, target=Target(coarse=final, final=final, errors=np.zeros(0), steps={}))
