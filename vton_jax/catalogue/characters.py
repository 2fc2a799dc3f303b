"""People whom pictures show again and again: a body, and how skin, eyes and hair look.

Setting somebody up takes longer than drawing them, so that examples share characters; splits share none.
"""

import dataclasses
import functools
import hashlib

import numpy as np

from vton_jax.catalogue import bodies, textures, wardrobe

SPLITS = ("train", "validation", "test")
_KEPT = 40  # characters in memory, 4 MiB each: examples of one circle in a row need 33


@dataclasses.dataclass(frozen=True)
class Character:
    """Somebody without clothes."""

    identity: bodies.Identity
    looks: textures.Looks
    hair: tuple[str, ...]  # of `wardrobe.HAIR`, one or none


def digest(character: Character) -> str:
    """Sixteen digits that stand for a body and its hair, whatever the split and number."""
    return hashlib.sha256(repr((character.identity, character.hair)).encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=_KEPT)
def character(number: int, split: str = "train") -> Character:
    """Character `number` of a split. Raises: ValueError for an unknown split."""
    generator = np.random.default_rng([SPLITS.index(split), number, 1])
    identity = bodies.sample_identity(generator)
    looks = textures.sample_looks(generator, identity)
    return Character(identity, looks, wardrobe.sample_hair(generator, identity.gender))
