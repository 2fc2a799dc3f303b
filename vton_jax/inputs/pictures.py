"""Pictures with what they show, in one file, from which ReaderCNN learns: people, garments laid flat, and neither.

A file (.npz) holds N pictures, encoded, with their label maps, and arrays [N, ...] of the rest. Read, a picture stands
at the top left of a canvas that all of a file share; `shown` [N, 2] says how much of it (height, width) is its own.

Conventions: a picture is a dict: 'image' uint8 [h, w, 3]; 'segmentation' uint8 [h, w], ATR's ids or `UNKNOWN`;
'keypoints' float32 [18, 2] in pixels, which are 'known' bool [18] (hidden or beyond the picture too) and 'seen' bool
[18]; 'kind', 'garment_type', 'sleeves' int, indices of `models.reader_cnn`'s classes or -1 for unknown; 'facing'
float32 [2], (sin, cos) of the turn to the picture's right, (0, 0) for unknown. `data/pictures.py` makes files.
"""

import os
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from vton_jax.core import keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.files import replacing, require_writable, writing

FACTS = {
    "keypoints": (np.float32, (keypoints.NUM_JOINTS, 2)), "known": (bool, (keypoints.NUM_JOINTS,)),
    "seen": (bool, (keypoints.NUM_JOINTS,)), "kind": (np.int8, ()), "garment_type": (np.int8, ()),
    "sleeves": (np.int8, ()), "facing": (np.float32, (2,)),
}  # fmt: skip
NOTHING_KNOWN = {
    "keypoints": np.zeros((18, 2), np.float32), "known": np.zeros(18, bool), "seen": np.zeros(18, bool),
    "garment_type": -1, "sleeves": -1, "facing": np.zeros(2, np.float32),
}  # fmt: skip
PERSON = 1  # of the kinds, as in `models.reader_cnn.KINDS`
_WEBP = 82  # quality: half the bytes of a JPEG that looks the same


def packed(pictures: Iterable[dict], canvas: tuple[int, int]) -> dict[str, np.ndarray]:
    """What a file holds of pictures, none of which is larger than the canvas (height, width).

    A picture whose labels are all unknown keeps none.
    """
    found = {name: [] for name in ("pictures", "labels", "shown", *FACTS)}
    for picture in pictures:
        labels = picture["segmentation"]
        found["pictures"].append(_encoded(".webp", picture["image"][..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, _WEBP]))
        blank = (labels == segmentation.UNKNOWN).all()
        found["labels"].append(np.zeros(0, np.uint8) if blank else _encoded(".png", labels, []))
        found["shown"].append(labels.shape)
        for name in FACTS:
            found[name].append(picture[name])
    arrays = {"canvas": np.array(canvas, np.int32), "shown": np.array(found["shown"], np.int32).reshape(-1, 2)}
    for name in ("pictures", "labels"):
        arrays[name] = np.concatenate([np.zeros(0, np.uint8), *found[name]])
        arrays[f"{name}_end"] = np.cumsum([len(part) for part in found[name]], dtype=np.int64)
    for name, (kind, shape) in FACTS.items():
        arrays[name] = np.array(found[name], kind).reshape(-1, *shape)
    return arrays


def _encoded(suffix: str, picture: np.ndarray, options: list) -> np.ndarray:
    return cv2.imencode(suffix, np.ascontiguousarray(picture), options)[1].reshape(-1)


def write(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes what `packed` gives. Raises: UserError where the file cannot be."""
    require_writable(Path(path))
    with replacing(path) as temporary, writing(path), open(temporary, "wb") as file:
        np.savez(file, **arrays)


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays [N, ...] of a file, decoded: `image` uint8 [N, H, W, 3], `segmentation` uint8 [N, H, W], `shown`
    int32 [N, 2] and the facts. Raises: UserError where it is missing, damaged, or no such file.
    """
    try:
        with np.load(path) as file:
            arrays = dict(file)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError):
        raise UserError(f"{path} cannot be read; make it with python data/build.py pictures.") from None
    if missing := {"canvas", "pictures", "labels", "shown", *FACTS} - arrays.keys():
        raise UserError(f"{path} is no file of pictures, since it lacks {', '.join(sorted(missing))}; make one with "
                        "python data/build.py pictures.")  # fmt: skip
    if not len(arrays["shown"]):
        raise UserError(f"{path} holds no pictures.")
    canvas, count = tuple(arrays["canvas"]), len(arrays["shown"])
    image = np.zeros((count, *canvas, 3), np.uint8)
    labels = np.full((count, *canvas), segmentation.UNKNOWN, np.uint8)

    def decode(number: int) -> None:
        height, width = arrays["shown"][number]
        image[number, :height, :width] = _decoded(arrays, "pictures", number, cv2.IMREAD_COLOR)[..., ::-1]
        if _span(arrays, "labels", number).size:
            labels[number, :height, :width] = _decoded(arrays, "labels", number, cv2.IMREAD_UNCHANGED)

    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(decode, range(count)))
    except (cv2.error, TypeError, ValueError):
        raise UserError(f"{path} is damaged; make it again with python data/build.py pictures.") from None
    return {"image": image, "segmentation": labels, "shown": arrays["shown"]} | {name: arrays[name] for name in FACTS}


def _span(arrays: dict, name: str, number: int) -> np.ndarray:
    ends = arrays[f"{name}_end"]
    return arrays[name][ends[number - 1] if number else 0 : ends[number]]


def _decoded(arrays: dict, name: str, number: int, how: int) -> np.ndarray:
    return cv2.imdecode(_span(arrays, name, number), how)
