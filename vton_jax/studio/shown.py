"""Pictures for the page: what was read, and what the machine did. Written as PNG files into a job's folder."""

from pathlib import Path
from typing import Any

import cv2
import jax
import numpy as np
from PIL import Image

from vton_jax.core import framing, geometry, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.types import Result
from vton_jax.layout import coarse_map
from vton_jax.media import photo_files, visualize
from vton_jax.systems.job import Reading

_LARGE = 2  # times the networks' size that pictures are shown at
_BRUSH = 768  # pixels that the picture under the brush is large at most
_FRAMES = 3  # of which the page shows what the machine did
_OUTLINE = (255, 60, 40)
_STEPS = {
    "start": "1 the pose image's segmentation",
    "remove_hair": "2 its hair is removed",
    "add_hair": "3 the user's hair is added",
    "remove_face": "4 its face is removed",
    "add_face": "5 the user's face is added",
    "remove_dress": "6 its clothes are removed",
    "add_pose_lines": "7 limbs along the pose",
    "add_dress": "8 the garment is added: the coarse map",
}  # as `coarse_map.STEPS`


def reading(found: Reading, picture: np.ndarray | None, folder: Path) -> dict[str, Any]:
    """What was read: paths of pictures of the person, a pose and the garment, and the garment's type.

    Args: picture: the garment's, uint8 [H, W, 3]; `brush_picture` and `brush_layer` are this, to be corrected.
    """
    labels = np.asarray(found.user.layout.segmentation)
    person = _outlined(visualize.to_uint8(found.user.image), labels > 0)
    person = visualize.draw_skeleton(
        person, np.asarray(found.user.layout.keypoints) * _LARGE, np.asarray(found.user.layout.visible)
    )
    photo_files.write_image(folder / "read_person.png", person)
    shown = {"person": str(folder / "read_person.png"), "garment_type": "none", "flat": False}
    pose = visualize.draw_skeleton(
        _large(found.pose_frames[0]), np.asarray(found.poses.layout.keypoints[0]) * _LARGE,
        np.asarray(found.poses.layout.visible[0]),
    )  # fmt: skip
    photo_files.write_image(folder / "read_pose.png", pose)
    shown["pose"] = str(folder / "read_pose.png")
    if found.garments and picture is not None:
        garment = found.garments[0]
        kind = segmentation.GARMENT_TYPES[int(garment.garment_type)]
        mask = segmentation.region(np.asarray(garment.layout.segmentation), segmentation.GARMENT_LABELS[kind])
        photo_files.write_image(folder / "read_garment.png", _outlined(visualize.to_uint8(garment.image), mask))
        shown |= {"garment": str(folder / "read_garment.png"), "garment_type": kind, "flat": bool(garment.flat)}
        shown |= _for_the_brush(found, mask, picture, folder)
    return shown


def _for_the_brush(found: Reading, mask: np.ndarray, picture: np.ndarray, folder: Path) -> dict[str, str]:
    """The garment's picture as it came, at most 768 pixels large, and a layer that marks what was read as garment."""
    large = where_it_lies(found, mask, picture).astype(np.uint8)
    factor = min(1.0, _BRUSH / max(picture.shape[:2]))
    size = tuple(max(1, round(side * factor)) for side in picture.shape[:2])
    picture, large = framing.resize(picture, size), framing.resize(large, size, nearest=True)
    layer = np.zeros((*size, 4), np.uint8)
    layer[large > 0] = (*_OUTLINE, 150)
    photo_files.write_image(folder / "brush_picture.png", picture)
    Image.fromarray(layer).save(folder / "brush_layer.png")
    return {"brush_picture": str(folder / "brush_picture.png"), "brush_layer": str(folder / "brush_layer.png")}


def where_it_lies(found: Reading, mask: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """A garment's mask in the networks' frame, bool [h, w], as one of its own picture [H, W, 3], bool [H, W]."""
    fitted = found.framing.garment(0).place.back(mask.astype(np.float32), cv2.INTER_LINEAR)
    return framing.fit(picture, mask.shape)[1].restore(fitted) > 0.5


def painted(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The mask bool [H, W] of `size` that a decoded picture shows in white. Raises: UserError where it is none."""
    mask = framing.resize(photo_files.read_photo(path)[..., 0], size, nearest=True) > 127
    if not mask.any():
        raise UserError("Nothing is marked as the garment; paint it, or leave the mask as it was read.")
    return mask


def machine(found: Reading, results: dict[int, Result], folder: Path) -> list[dict[str, Any]]:
    """For some poses, what led to their frames: [{'frame': number, 'pictures': [(path, caption)]}]."""
    places = np.unique(np.linspace(0, len(results) - 1, min(_FRAMES, len(results))).round().astype(int))
    chosen = np.array([*results])[places]
    garment = np.asarray(found.shown_garment.image, np.float32)
    shown = []
    for index in map(int, chosen):
        pictures = dict(_pictures(found, results[index], index, garment))
        paths = []
        for number, (caption, picture) in enumerate(pictures.items()):
            path = folder / f"machine_{index:03d}_{number:02d}.png"
            photo_files.write_image(path, picture)
            paths.append((str(path), caption))
        shown.append({"frame": index * found.every, "pictures": paths})
    return shown


def _pictures(found: Reading, result: Result, index: int, garment: np.ndarray):
    """Yields (caption, picture) of one frame."""
    colour = lambda labels: _large(visualize.colour_segmentation(labels))  # noqa: E731
    yield "pose", _large(found.pose_frames[index])
    steps = result.target.steps
    for name in coarse_map.STEPS:
        if name in steps:
            yield _STEPS[name], colour(steps[name])
    errors = np.asarray(result.target.errors)
    if errors.size:
        size = tuple(_LARGE * side for side in garment.shape[:2])
        yield f"the backward procedure's error, {errors.size} iterations", visualize.error_curve(errors, size)
    yield "final map", colour(result.dressed.labels)
    flow = np.asarray(result.dressed.flow)
    if flow.any():
        yield "flow", _large(visualize.colour_flow(flow))
        warped = np.asarray(jax.jit(geometry.warp)(garment, flow))
        weight = np.asarray(result.dressed.garment_weight)[..., None]
        yield "warped garment", _large(visualize.to_uint8(warped * weight + 1 - weight))
    yield "result", _large(visualize.to_uint8(result.image))


def _large(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, None, fx=_LARGE, fy=_LARGE, interpolation=cv2.INTER_NEAREST)


def _outlined(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A picture [H, W, 3], enlarged, with the outline of a mask."""
    large = cv2.resize(picture, None, fx=_LARGE, fy=_LARGE, interpolation=cv2.INTER_CUBIC)
    outlines, _ = cv2.findContours(_large(mask.astype(np.uint8)), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(large.copy(), outlines, -1, _OUTLINE, 2, cv2.LINE_AA)
