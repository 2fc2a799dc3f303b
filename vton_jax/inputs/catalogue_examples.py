"""Examples of the catalogue that data/build.py has drawn, as what networks learn from.

Conventions: what is stored says data/catalogue/catalogue.py; an example is one of `catalogue.examples`, of which
the try-on networks see one donor at a time.
"""

import numpy as np

from vton_jax.catalogue import examples

SHOTS = ("input", "output", "worn", "flat")
FLOW_UNIT = 16  # parts of a pixel that flows are stored in


def is_catalogue(features) -> bool:
    """Whether a prepared dataset, by its features or an example, is the catalogue."""
    return {f"{shot}_image" for shot in SHOTS} <= set(features)


def decoded(stored: dict) -> dict[str, np.ndarray]:
    """An example from what TFDS reads, without the ids of people and garments."""
    found = {}
    for name, value in stored.items():
        if isinstance(value, bytes):
            continue
        value = np.asarray(value)
        if name.endswith(("_segmentation", "_flow_visible")):
            value = value[..., 0]  # TFDS keeps a channel axis
        if name.endswith("_flow"):
            value = value.astype(np.float32) / FLOW_UNIT
        found[name] = value.astype(bool) if name.endswith("visible") else value
    return found


class BothDonors:
    """A source of samples in which every example comes twice: with the garment worn, and lying flat where it can."""

    def __init__(self, source):
        self.source = source

    def __len__(self) -> int:
        return 2 * len(self.source)

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        place, second = divmod(number, 2)
        example = decoded(self.source[place])
        return examples.sample(example, flat=bool(second) and examples.lies_flat(example))
