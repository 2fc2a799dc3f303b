"""Photos with labels from a prepared dataset, or a file of `pictures`, held in memory.

Conventions: photos uint8 [H, W, 3] with labels uint8 [H, W] (ATR's ids, or `UNKNOWN`), `HEIGHT` pixels high.
"""

from pathlib import Path

import numpy as np

from vton_jax.core import framing, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import input_pipeline, pictures

HEIGHT = 384  # half as much again as the networks' 256, for close views


def read(dataset: str, split: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The photos of a dataset that have labels, and these.

    `dataset` is a folder made by data/build.py whose examples have `image` and `segmentation`, or a file that
    `data/build.py pictures --kind=people` made, which is all of one split. Raises UserError for another one, and where
    no photo has labels.
    """
    if Path(dataset).is_file():
        return _of_pictures(dataset)
    import tensorflow_datasets as tfds

    folder = input_pipeline.find_dataset(dataset)
    builder = tfds.builder_from_directory(str(folder))
    if split not in builder.info.splits:
        raise UserError(f"{folder} has no split {split!r}; it has {', '.join(builder.info.splits)}.")
    if not {"image", "segmentation"} <= set(builder.info.features):
        raise UserError(f"{folder} holds no photos with label maps; prepare Clothing Co-Parsing with data/build.py.")
    photos, labels = [], []
    for example in builder.as_data_source(split):
        photo, parsed = example["image"], example["segmentation"][..., 0]
        if (parsed == segmentation.UNKNOWN).all():
            continue
        input_pipeline.check_labels(parsed, str(folder))
        small = (HEIGHT, round(HEIGHT * photo.shape[1] / photo.shape[0]))
        photos.append(framing.resize(photo, small))
        labels.append(framing.resize(parsed, small, nearest=True))
    if not photos:
        raise UserError(f"No photo of the split {split!r} of {folder} has a label map.")
    return photos, labels


def _of_pictures(path: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The people of a file of `pictures` that have labels, and these; what is unknown of them is background."""
    found = pictures.read(path)
    known = (found["segmentation"] != segmentation.UNKNOWN).any((1, 2)) & (found["kind"] == pictures.PERSON)
    if not known.any():
        raise UserError(f"{path} shows no people with labels; make it with data/build.py pictures --kind=people.")
    photos, labels = [], []
    for row in np.flatnonzero(known):
        height, width = found["shown"][row]
        parsed = found["segmentation"][row, :height, :width]
        photos.append(found["image"][row, :height, :width])
        labels.append(np.where(parsed == segmentation.UNKNOWN, 0, parsed).astype(np.uint8))
    return photos, labels
