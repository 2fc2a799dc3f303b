"""VITON (Han et al. 2018) as a TFDS builder, in CP-VTON's layout or PF-AFN's. Conventions: see `data.field`."""

from pathlib import Path

import numpy as np

from data import field
from vton_jax.core import label_tables

Settings = field.Settings


class Source(field.ShopSource):
    """`NUMBER_0.jpg` is a person, `NUMBER_1.jpg` the garment that person wears."""

    FILES = (
        field.Files("person photo", "person", ("{split}/image/{name}.jpg", "VITON_{split}data/{split}_img/{name}.jpg",
                                               "{split}_img/{name}.jpg")),
        field.Files("label map", "person", ("{split}/image-parse-new/{name}.png", "{split}/image-parse/{name}.png",
                                            "VITON_{split}data/{split}_label/{name}.png", "{split}_label/{name}.png")),
        field.Files("keypoints", "person", ("{split}/pose/{name}_keypoints.json",
                                            "VITON_{split}data/{split}_pose/{name}_keypoints.json",
                                            "{split}_pose/{name}_keypoints.json")),
        field.Files("garment photo", "garment", ("{split}/cloth/{name}.jpg",
                                                 "VITON_{split}data/{split}_color/{name}.jpg",
                                                 "{split}_color/{name}.jpg", "{split}_clothes/{name}.jpg")),
        field.Files("garment mask", "garment", ("{split}/cloth-mask/{name}.jpg",
                                                "VITON_{split}data/{split}_edge/{name}.jpg",
                                                "{split}_edge/{name}.jpg")),
    )  # fmt: skip
    EXPECTED = {"train": 14221, "test": 2032}  # noqa: RUF012

    def own(self, person: str) -> str:
        return person.removesuffix("_0") + "_1"

    def table(self, path: Path) -> np.ndarray:
        return label_tables.LABEL_FROM_PF_AFN if path.parent.name.endswith("_label") else label_tables.LABEL_FROM_CIHP


class Builder(field.Builder):
    """Prepares VITON."""

    SOURCE = Source
