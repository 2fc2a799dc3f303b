"""What a user can ask of FiNet: one description for flags, a page and Python. Imports no JAX."""

import dataclasses
from typing import Literal

from vton_jax.core.options import option

WAYS = ("both", "shape", "appearance")


@dataclasses.dataclass(frozen=True)
class InpaintOptions:
    """Which region of whom is filled in, with what."""

    person: str | None = option(None, "Photo of a dressed person. Default: the packaged one.")
    region: Literal["top", "bottom", "hat", "shoes"] = option("top", "Which garment is taken away and filled in.")
    num_samples: int = option(5, "How many fillings.", lower_bound=1, upper_bound=64)
    garment: str | None = option(
        None,
        "Picture of a garment, worn or laid flat, that is put there: its own outline and look in place of samples, but "
        "for what --vary names.",
    )
    vary: Literal["all", "both", "shape", "appearance", "none"] = option(
        "all",
        "What differs between fillings: shape (the outline), appearance (colour and pattern) or both; all: a row of "
        "each. What does not differ is that of the garment that is worn, or that --garment shows. With --garment the "
        "default shows the garment alone.",
    )
    compatibility: bool = option(True, "Whether fillings go with what else is worn; else anything goes.")
    seed: int = option(0, "Of the samples.", lower_bound=0)
    weights: str | None = option(None, "Folder of other weights than the released ones.")
