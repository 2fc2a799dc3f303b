"""Reads the formats of the field's datasets: photos, label maps, masks, keypoints and lists.

Conventions: photos are uint8 RGB [H, W, 3], label maps uint8 [H, W], masks bool [H, W]; keypoints are COCO-18, `(x, y)`
in pixels. Whatever is wrong with a file is a UserError that names it.
"""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from vton_jax.core import label_tables, listings
from vton_jax.core.errors import UserError
from vton_jax.media import photo_files

VIDEO_QUALITY = 95  # JPEG quality of frames taken from clips; their own compression is coarser


@dataclasses.dataclass
class Picture:
    """An encoded photo and its (height, width)."""

    encoded: bytes
    size: tuple[int, int]


def encode(image: np.ndarray, extension: str = ".png") -> bytes:
    """uint8 RGB [H, W, 3] or [H, W] as encoded bytes: TFDS would encode an array with TensorFlow."""
    options = [cv2.IMWRITE_JPEG_QUALITY, VIDEO_QUALITY] if extension == ".jpg" else []
    _, encoded = cv2.imencode(extension, image[..., ::-1] if image.ndim == 3 else image, options)
    return encoded.tobytes()


def read_picture(path: Path) -> Picture:
    """A photo as it is in its file, where that is upright RGB in JPEG or PNG; else as PNG. Raises UserError."""
    pixels = photo_files.read_photo(path)
    with Image.open(path) as image:
        plain = image.format in ("JPEG", "PNG") and image.mode == "RGB" and image.size == pixels.shape[1::-1]
        plain = plain and image.getexif().get(0x0112, 1) == 1 and "transparency" not in image.info
    return Picture(path.read_bytes() if plain else encode(pixels), pixels.shape[:2])


def read_ids(path: Path) -> np.ndarray:
    """The ids [H, W] of a label map: grey or indexed PNG, or one in the colours of LIP. Raises UserError."""
    if path.suffix == ".mat":
        import scipy.io

        try:
            return np.asarray(scipy.io.loadmat(path)["groundtruth"], np.uint8)
        except Exception as error:  # scipy raises all sorts on broken files
            raise UserError(f"{path} holds no label map ({error}); copy it again.") from None
    try:
        with Image.open(path) as image:
            if image.format == "JPEG":
                raise UserError(f"{path} is a JPEG, which does not keep label ids; get the PNG of the dataset.")
            pixels = np.array(image if image.mode in ("L", "P") else image.convert("RGB"))
    except OSError as error:
        raise UserError(f"{path} is no picture that can be read ({error}); copy it again.") from None
    if pixels.ndim == 2:
        return pixels
    code = pixels.astype(np.int32) @ (65536, 256, 1)
    colours = label_tables.LIP_PALETTE.astype(np.int32) @ (65536, 256, 1)
    order = np.argsort(colours)
    place = order[np.minimum(np.searchsorted(colours, code, sorter=order), len(order) - 1)]
    if not (colours[place] == code).all():
        raise UserError(f"{path} is a picture in colours, but not LIP's; give label ids as grey or indexed PNG.")
    return place.astype(np.uint8)


def read_labels(path: Path, table: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A label map as ATR labels uint8 [H, W]. UserError where it is not of the photo's `size` or has unknown ids."""
    ids = read_ids(path)
    if ids.shape != tuple(size):
        raise UserError(f"{path} is {ids.shape[1]}x{ids.shape[0]}, its photo {size[1]}x{size[0]}; "
                        "get the two from one release.")  # fmt: skip
    if ids.max() >= len(table):
        raise UserError(f"{path} has the label {ids.max()}, but the dataset's table ends at {len(table) - 1}; "
                        "it is a label map of another kind.")  # fmt: skip
    return table[ids]


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """A garment's mask, bool [H, W]: what is at least half bright. UserError where it is not of the photo's `size`."""
    mask = photo_files.read_photo(path)[..., 0] >= 128
    if mask.shape != tuple(size):
        raise UserError(f"{path} is {mask.shape[1]}x{mask.shape[0]}, its garment {size[1]}x{size[0]}; "
                        "get the two from one release.")  # fmt: skip
    return mask


def mask_on_white(image: np.ndarray, tolerance: int = 4) -> np.ndarray:
    """Mask of a garment photographed on white, bool [H, W]: all but what joins the border in small steps of colour."""
    height, width = image.shape[:2]
    padded = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    filled = np.zeros((height + 4, width + 4), np.uint8)
    cv2.floodFill(padded, filled, (0, 0), 0, (tolerance,) * 3, (tolerance,) * 3, 4 | cv2.FLOODFILL_MASK_ONLY)
    return filled[2:-2, 2:-2] == 0


def joints(points: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 2] and confidence [N] in OpenPose's order, COCO-18, 19 or BODY_25 -> [18, 2] and visible [18].

    A joint without confidence is missing. Raises ValueError for another number.
    """
    if len(points) == 25:  # BODY_25 has the middle of the hips at 8
        points, confidence = np.delete(points, 8, 0), np.delete(confidence, 8, 0)
    elif len(points) not in (18, 19):
        raise ValueError(f"{len(points)} joints are neither COCO-18 nor BODY_25")
    points, confidence = np.asarray(points[:18], np.float32), np.asarray(confidence[:18])
    visible = confidence > 0
    return np.where(visible[:, None], points, np.float32(0)), visible


def read_openpose(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The first person in an OpenPose file; nobody in it means that all joints are missing. Raises UserError."""
    try:
        people = json.loads(path.read_text())["people"]
        if not people:
            return np.zeros((18, 2), np.float32), np.zeros(18, bool)
        flat = people[0].get("pose_keypoints_2d") or people[0]["pose_keypoints"]
        values = np.array(flat, np.float32).reshape(-1, 3)
        return joints(values[:, :2], values[:, 2])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no OpenPose keypoints ({error}); copy it again.") from None


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """(person, garment) of each line of a pair list, without extensions. Raises UserError."""
    return [(Path(person).stem, Path(garment).stem) for person, garment in listings.read_pairs(path)]
