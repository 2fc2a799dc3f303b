"""Dressing somebody by every system that a suite compares."""

import dataclasses

import numpy as np

from vton_jax import systems
from vton_jax.compositing.full_size import softened
from vton_jax.core.types import Garment, Pose, Target, User
from vton_jax.evaluate.protocol import LAB126, SuiteOptions, WholeSystemOptions
from vton_jax.models import weights
from vton_jax.reading import digest_of
from vton_jax.reading.picture_reader import PictureReader
from vton_jax.systems.options import ARM_NAMES, SystemOptions
from vton_jax.systems.protocol import TryOnSystem


@dataclasses.dataclass(frozen=True)
class Compared:
    """Systems by the names that results give them.

    The arms of lab126 differ in their painters alone: readings and target layouts are the same, and made once.
    Of other systems nothing is known but `TryOnSystem`.
    """

    systems: dict[str, TryOnSystem]
    arms: bool = True  # of lab126

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.systems)

    @property
    def first(self) -> TryOnSystem:
        """The one that reads for all."""
        return next(iter(self.systems.values()))

    @property
    def size(self) -> tuple[int, int]:
        return self.first.size

    def dress(
        self, user: User, garment: Garment, poses: Pose, seen: User | None = None
    ) -> tuple[dict[str, np.ndarray], list[Target]]:
        """Dresses the user in the garment in every pose [T].

        Args: seen: what is painted from, by default the user. Where it differs, arms have the user's target layouts;
        another system sees nothing else. Returns: {system: float [T, H, W, 3]}, and the first one's target layouts [T].
        """
        seen = user if seen is None else seen
        if not self.arms:
            made = {name: list(system.dress(seen, (garment,), poses)) for name, system in self.systems.items()}
            images = {
                name: np.stack([softened(result.dressed) for result in results]) for name, results in made.items()
            }
            return images, [result.target for result in next(iter(made.values()))]
        targets = list(self.first.layouts.targets(user, garment, poses))
        goal = poses.layout.replace(segmentation=np.stack([target.final for target in targets]))
        paint = lambda system: np.stack([softened(one) for one in system.painter.paint(seen, [garment], goal)])  # noqa: E731
        return {name: paint(system) for name, system in self.systems.items()}, targets


def open_arms(options: SuiteOptions, arms: tuple[str, ...] = ARM_NAMES) -> dict:
    """The arms of lab126: {arm: `Lab126`}."""
    made = (SystemOptions(weights=options.weights, system=LAB126, remap=arm) for arm in arms)
    return {one.remap: systems.create(one) for one in made}


def open_systems(options: WholeSystemOptions, arms: tuple[str, ...] = ARM_NAMES) -> Compared:
    """The arms of lab126, or the one other system that is asked for. Raises: UserError for an unknown system."""
    if options.system == LAB126:
        return Compared(open_arms(options, arms))
    one = SystemOptions(weights=options.weights, system=options.system)
    return Compared({options.system: systems.create(one)}, arms=False)


def open_parser(options: SuiteOptions) -> PictureReader:
    """What says where garments are in true frames: ReaderCNN, whatever system is evaluated."""
    return PictureReader(weights.path_of("reader_cnn", options.weights))


def about(options: WholeSystemOptions) -> dict[str, str]:
    """What of a system was evaluated, for a suite's texts."""
    which = {"system": options.system}
    if options.system == LAB126:
        which = {name: digest_of(weights.path_of(f"{name}_cnn", options.weights)) for name in ("reader", "multi_path")}
    return {"background": options.background} | which
