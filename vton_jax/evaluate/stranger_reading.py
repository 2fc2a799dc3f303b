"""What a try-on takes a picture for: the one place where the suite `strangers` asks for it.

The reader is asked with nothing but the picture, which may show a person, a garment laid flat, or neither.
"""

import dataclasses

import numpy as np

from vton_jax.core import framing, segmentation
from vton_jax.core.errors import UserError
from vton_jax.systems.protocol import TryOnSystem


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was read in a picture; "" is what was not."""

    kind: str  # person, garment or none
    type: str = ""  # of a garment: upper, lower, dress; outfit where a person is seen
    sleeves: str = ""  # of a garment: none, short, three-quarter, long


def reads_sleeves(system: TryOnSystem) -> bool:
    """Whether `Seen.sleeves` says anything."""
    return getattr(system.reader, "pictures", None) is not None


def look(system: TryOnSystem, picture: np.ndarray) -> Seen:
    """Reads a picture uint8 [H, W, 3] of any size, not knowing what it shows.

    A system without ReaderCNN is asked whether the picture shows a garment laid flat, and then which.
    """
    if reads_sleeves(system):
        found = system.reader.pictures.read(picture)
        if found.is_a == "garment":
            return Seen("garment", found.type, found.sleeve_class)
        return Seen(found.is_a, "outfit" if found.is_a == "person" else "")
    frame = framing.fit(picture, system.size)[0]
    try:
        if not system.reader.looks_flat(frame):
            return Seen("person", "outfit")
        garment = system.read_garment(frame, None, True)
    except UserError:
        return Seen("none")
    return Seen("garment", segmentation.GARMENT_TYPES[int(garment.garment_type)])
