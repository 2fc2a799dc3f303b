"""What a try-on takes a picture for: the one place where the suite `strangers` asks for it.

The reader is asked with nothing but the picture, which may show a person, a garment laid flat, or neither.
"""

import dataclasses

import numpy as np

from vton_jax.systems.protocol import TryOnSystem

SLEEVES_ARE_READ = True  # whether `Seen.sleeves` says anything


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was read in a picture; "" is what was not."""

    kind: str  # person, garment or none
    type: str = ""  # of a garment: upper, lower, dress; outfit where a person is seen
    sleeves: str = ""  # of a garment: none, short, three-quarter, long


def look(system: TryOnSystem, picture: np.ndarray) -> Seen:
    """Reads a picture uint8 [H, W, 3] of any size, not knowing what it shows."""
    found = system.reader.pictures.read(picture)
    if found.is_a == "person":
        return Seen("person", "outfit")
    if found.is_a == "none":
        return Seen("none")
    return Seen("garment", found.type, found.sleeve_class)
