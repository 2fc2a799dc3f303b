"""VITON-HD (Choi et al. 2021) as a TFDS builder, both releases. Conventions: see `data.field`."""

from pathlib import Path

import numpy as np

from data import field
from vton_jax.core import label_tables

Settings = field.Settings


class Source(field.ShopSource):
    """A person and the garment that person wears have one name; `train_pairs.txt` is mismatched on purpose."""

    FILES = (
        field.Files("person photo", "person", ("{split}/image/{name}.jpg",)),
        field.Files("label map", "person", ("{split}/image-parse-v3/{name}.png", "{split}/image-parse/{name}.png")),
        field.Files("keypoints", "person", ("{split}/openpose_json/{name}_keypoints.json",
                                            "{split}/openpose-json/{name}_keypoints.json")),
        field.Files("garment photo", "garment", ("{split}/cloth/{name}.jpg",)),
        field.Files("garment mask", "garment", ("{split}/cloth-mask/{name}.jpg",)),
    )  # fmt: skip
    EXPECTED = {"train": 11647, "test": 2032}  # noqa: RUF012

    def own(self, person: str) -> str:
        return person

    def table(self, path: Path) -> np.ndarray:
        return label_tables.LABEL_FROM_CIHP


class Builder(field.Builder):
    """Prepares VITON-HD."""

    SOURCE = Source
