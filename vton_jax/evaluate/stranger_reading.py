"""What a try-on takes a picture for: the one place where the suite `strangers` asks for it.

It is asked as `systems/job.py` does with nothing but the picture: whether it shows a garment laid flat, and then which.
"""

import dataclasses

import numpy as np

from vton_jax.core import framing, segmentation
from vton_jax.core.errors import UserError
from vton_jax.systems.protocol import TryOnSystem

SLEEVES_ARE_READ = False  # whether `Seen.sleeves` says anything


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was read in a picture; "" is what was not."""

    kind: str  # person, garment or none
    type: str = ""  # of a garment: upper, lower, dress; outfit where a person is seen
    sleeves: str = ""  # of a garment: none, short, three-quarter, long


def look(system: TryOnSystem, picture: np.ndarray) -> Seen:
    """Reads a picture uint8 [H, W, 3] of any size, not knowing what it shows."""
    frame = framing.fit(picture, system.size)[0]
    try:
        if not system.reader.looks_flat(frame):
            return Seen("person", "outfit")
        garment = system.read_garment(frame, None, True)
    except UserError:
        return Seen("none")
    return Seen("garment", segmentation.GARMENT_TYPES[int(garment.garment_type)])
