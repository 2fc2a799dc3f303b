"""From the features of the field's datasets (see docs/datasets.md) to examples of the contract in `input_pipeline`.

Conventions: the features name a person, maybe another picture of the same person (`source`), and maybe a garment laid
flat. The person is the truth (`output`); the input is the source where there is one, else the person. The donor is the
garment where there is one, else the input. What is missing there stays missing here.
"""

import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.errors import UserError

# The label that stands for a garment laid flat, by its type.
FLAT_LABEL = {"upper": "upper-clothes", "lower": "pants", "dress": "dress"}


def is_field(features: dict) -> bool:
    return "garment_image" in features and "paired" in features


def _plain(value) -> np.ndarray:
    """A picture [H, W, 3], or a map [H, W] without the channel axis that TFDS keeps."""
    value = np.asarray(value)
    return value[..., 0] if value.ndim == 3 and value.shape[-1] == 1 else value


def to_contract(features: dict) -> dict:
    """The features of an example under the names of the contract; arrays that are there twice are the same objects.

    Raises UserError for an unpaired example: nobody has seen that person in that garment, so there is nothing to learn.
    """
    if not features["paired"]:
        raise UserError("This split pairs people with garments they do not wear: it is for evaluation, not for "
                        "training; give a --split without `unpaired`.")  # fmt: skip
    parts = ("image", "segmentation", "keypoints", "visible")
    person = {part: _plain(features[part]) for part in parts}
    given = {part: _plain(features[f"source_{part}"]) for part in parts} if features["source"] else person
    kind = segmentation.GARMENT_TYPES[int(features["garment_type"])]
    if features["garment"]:
        mask = _plain(features["garment_mask"]) > 0
        donor = {
            "image": np.asarray(features["garment_image"]),
            "segmentation": mask.astype(np.uint8) * np.uint8(segmentation.ID[FLAT_LABEL[kind]]),
            "keypoints": np.zeros_like(person["keypoints"]),
            "visible": np.zeros_like(person["visible"]),
        }
    else:
        donor = given
        mask = segmentation.region(donor["segmentation"], segmentation.GARMENT_LABELS[kind])
    example = {
        "garment_type": features["garment_type"],
        "dress_image": np.where(mask[..., None], donor["image"], np.uint8(255)),
        "donor_flat": np.bool_(bool(features["garment"])),
    }
    for name, shown in (("input", given), ("donor", donor), ("output", person)):
        example |= {f"{name}_{part}": value for part, value in shown.items()}
    return example
