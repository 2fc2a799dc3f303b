"""One change of clothes in several poses: what coarse maps are made from, and the layouts that they should become.

An example (`catalogue.examples`) shows one target of everybody it dresses. Dressing people costs more than another look
at them, so here the same ones are looked at `TARGETS` times; of the truth labels are enough. They wear coats and
scarves, and so does who shows poses: what comes off, what stays and what is somebody else's has to be learned.
"""

import dataclasses

import numpy as np

from vton_jax.catalogue import examples, exchanges, poses, scenes, views
from vton_jax.catalogue.characters import SPLITS

TARGETS = 4
_OWN = 2  # targets in the pose of one of the user's own photos; the others are shown by a third person
_FIRST = 2_000_000  # number of the first change's example: other people than those of cases and cached examples


@dataclasses.dataclass(frozen=True)
class Change:
    """Pictures are uint8 [.., H, W, 3], layouts uint8 [.., H, W]."""

    kind: str  # one of `segmentation.GARMENT_TYPES`
    users: np.ndarray  # [TARGETS], a photo of the user for each target; backwards, another one than the pose image
    poses: np.ndarray  # [TARGETS], the pose image: the same photo, or a third person's
    truth: np.ndarray  # [TARGETS], the user in the garment
    kept: np.ndarray  # [TARGETS], the user in their own clothes
    worn: np.ndarray  # the donor
    flat: np.ndarray | None  # the garment alone, where it can lie flat


def draw(
    number: int, split: str, size: tuple[int, int], closest: float, grounds: scenes.Grounds | None = None
) -> Change:
    """Change `number` of a split; a function of both. Args: closest, grounds: see `examples.draw`."""
    number = number + _FIRST
    generator = np.random.default_rng([SPLITS.index(split), number, 3])
    exchange = exchanges.layered(generator, exchanges.sample(generator, number, split))
    dressed = exchanges.dress(generator, exchange)
    look = {"size": size, "grounds": grounds}
    users, shown, truth, kept = [], [], [], []
    for _ in range(_OWN):
        place = examples.users_place(generator, exchange, dressed.before.height, closest, **look)
        pose = examples.sample_pose(generator)
        shot = place.shot(dressed.before, dressed.skins, pose)
        users.append(shot.image)
        shown.append(users[-1])
        truth.append(views.view_of(dressed.after, pose, place.eye, size).segmentation)
        kept.append(shot.view.segmentation)
    _, person, skins, _ = exchanges.third(number, split, exchange, laden=True)
    for index in range(TARGETS - _OWN):
        theirs = examples.third_place(generator, place.eye, person.height / dressed.before.height, size)
        pose = poses.sample_pose(generator)
        users.append(users[index])
        shown.append(theirs.shot(person, skins, pose).image)
        for layouts, user in ((truth, dressed.after), (kept, dressed.before)):
            layouts.append(views.view_of(user, pose, place.eye, size).segmentation)
    worn = examples.somewhere(generator, dressed, closest, **look).image
    lies = exchange.kind != "outfit"  # several pieces do not lie flat as one
    flat = examples.lay_flat(generator, exchange, dressed.donor_skins, size).image if lies else None
    return Change(exchange.kind, *map(np.stack, (users, shown, truth, kept)), worn, flat)
