"""Results that are the same everywhere, for the tests of what is made of them."""

import numpy as np

from vton_jax.core.types import Dressed


def dressed(photo_weight=0.0, garment_weight=0.0, flow=(0, 0), image=0.5, moved_weight=0.0, size=(32, 24)) -> Dressed:
    """A result that is the same everywhere; `flow` is the donor's and the photo's."""
    full = lambda *value: np.broadcast_to(np.float32(value), (*size, len(value)))  # noqa: E731
    weights = {"photo_weight": photo_weight, "garment_weight": garment_weight, "moved_weight": moved_weight}
    flat = {name: full(weight)[..., 0] for name, weight in weights.items()}
    labels = np.zeros(size, np.uint8)
    return Dressed(image=full(image, image, image), labels=labels, flow=full(*flow), photo_flow=full(*flow), **flat)
