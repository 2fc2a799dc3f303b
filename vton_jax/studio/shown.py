"""Pictures for the page: what was read, and what the machine did. Written as PNG files into a job's folder."""

from pathlib import Path
from typing import Any

import cv2
import jax
import numpy as np
from PIL import Image

from vton_jax.core import framing, geometry, segmentation
from vton_jax.core.boxes import Part
from vton_jax.core.types import Result
from vton_jax.layout import coarse_map
from vton_jax.media import photo_files, visualize
from vton_jax.systems.job import Reading
from vton_jax.systems.pictures import Pictures

GARMENTS = ("garment", "second_garment")  # that are worn together, by the names of their files
_LARGE = 2  # times the networks' size that pictures are shown at
_BRUSH = 768  # pixels that a picture to be corrected is large at most
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


def reading(found: Reading, given: Pictures, folder: Path) -> dict[str, Any]:
    """What was read: paths of pictures of the person, a pose and the garments; `editors` are the pictures as they came,
    to be corrected, with what was read of them.

    Args: given: what was read.
    """
    labels = np.asarray(found.user.layout.segmentation)
    person = _outlined(visualize.to_uint8(found.user.image), labels > 0)
    person = visualize.draw_skeleton(
        person, np.asarray(found.user.layout.keypoints) * _LARGE, np.asarray(found.user.layout.visible)
    )
    photo_files.write_image(folder / "read_person.png", person)
    shown = {"person": str(folder / "read_person.png")}
    pose = visualize.draw_skeleton(
        _large(found.pose_frames[0]), np.asarray(found.poses.layout.keypoints[0]) * _LARGE,
        np.asarray(found.poses.layout.visible[0]),
    )  # fmt: skip
    photo_files.write_image(folder / "read_pose.png", pose)
    shown["pose"] = str(folder / "read_pose.png")
    shown["editors"] = [_editor("person", given.photo, given.photo_part, None, folder)]
    for number, (name, garment, own) in enumerate(zip(GARMENTS, found.garments, given.garments, strict=False)):
        kind = segmentation.GARMENT_TYPES[int(garment.garment_type)]
        mask = segmentation.region(np.asarray(garment.layout.segmentation), segmentation.GARMENT_LABELS[kind])
        shown[name] = str(folder / f"read_{name}.png")
        photo_files.write_image(shown[name], _outlined(visualize.to_uint8(garment.image), mask))
        lies = where_it_lies(found, mask, own.picture, number)
        shown["editors"].append(_editor(name, own.picture, own.part, lies, folder))
    return shown


def _editor(name: str, picture: np.ndarray, part: Part | None, mask: np.ndarray | None, folder: Path) -> dict[str, str]:
    """A picture as it came, at most 768 pixels large, the box that was read, and a layer that marks the garment.

    Args: name: what it is of. part: of which the picture is what a box shows. mask: of the picture, bool [H, W].
    """
    whole, box = (picture, "") if part is None else (part.whole, part.box.text)
    factor = min(1.0, _BRUSH / max(whole.shape[:2]))
    size = tuple(max(1, round(side * factor)) for side in whole.shape[:2])
    found = {"of": name, "box": box, "picture": str(folder / f"editor_{name}.png")}
    photo_files.write_image(found["picture"], framing.resize(whole, size))
    if mask is not None:
        large = np.zeros(whole.shape[:2], np.uint8)
        large[np.s_[:, :] if part is None else part.box.pixels(large.shape)] = mask
        layer = np.zeros((*size, 4), np.uint8)
        layer[framing.resize(large, size, nearest=True) > 0] = (*_OUTLINE, 150)
        found["layer"] = str(folder / f"editor_{name}_layer.png")
        Image.fromarray(layer).save(found["layer"])
    return found


def where_it_lies(found: Reading, mask: np.ndarray, picture: np.ndarray, number: int = 0) -> np.ndarray:
    """A garment's mask in the networks' frame, bool [h, w], as one of its own picture [H, W, 3], bool [H, W].

    Args: number: of the garment. Returns: the mask.
    """
    fitted = found.framing.garment(number).place.back(mask.astype(np.float32), cv2.INTER_LINEAR)
    return framing.fit(picture, mask.shape)[1].restore(fitted) > 0.5


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
