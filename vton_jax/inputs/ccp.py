"""Clothing Co-Parsing as it lies in its folder: photos/NUMBER.jpg, labels/NUMBER.png, labels.json.

W. Yang, P. Luo, L. Lin, "Clothing Co-Parsing by Joint Image Segmentation and Labeling", CVPR 2014; Apache-2.0.
Conventions: a number is a string such as "0013"; photos are uint8 [H, W, 3], labels uint8 [H, W] in the data set's own
ids (`label_tables.CCP_LABELS`). Photos whose number ends in 3 are for validation.
"""

import json
from pathlib import Path

import cv2
import numpy as np

from vton_jax.core import label_tables, listings
from vton_jax.core.errors import UserError
from vton_jax.media import photo_files


def is_validation(number: str) -> bool:
    return number.endswith("3")


def numbers(folder: str | Path, ids: str | Path | None = None) -> list[str]:
    """The numbers of the folder that have photo and labels, or those that the file `ids` lists, one a line.

    Raises UserError where the folder is no Clothing Co-Parsing, or a listed number is not there.
    """
    folder = Path(folder)
    try:
        names = tuple(json.loads((folder / "labels.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        names = ()
    if names != label_tables.CCP_LABELS:
        raise UserError(
            f"{folder} is no Clothing Co-Parsing folder: it should hold photos/, labels/ and labels.json with the "
            f"{len(label_tables.CCP_LABELS)} names of the data set."
        )
    there = {path.stem for path in listings.files_in(folder / "photos", "*.jpg")}
    there &= {path.stem for path in listings.files_in(folder / "labels", "*.png")}
    if ids is None:
        return sorted(there)
    try:
        listed = listings.read_text(ids).split()
    except UserError:
        raise UserError(f"{ids} cannot be read; it should list photo numbers, one a line.") from None
    if missing := [number for number in listed if number not in there]:
        raise UserError(f"{ids} lists {missing[0]}, which has no photo with labels in {folder}.")
    return listed


def read(folder: str | Path, number: str) -> tuple[np.ndarray, np.ndarray]:
    """(photo, labels) of one number, of one size. UserError where a file is broken."""
    photo = photo_files.read_photo(Path(folder) / "photos" / f"{number}.jpg")
    path = Path(folder) / "labels" / f"{number}.png"
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if labels is None or labels.shape != photo.shape[:2] or labels.max() >= len(label_tables.CCP_LABELS):
        raise UserError(f"{path} is no label map of its photo's size with ids below {len(label_tables.CCP_LABELS)}.")
    return photo, labels
