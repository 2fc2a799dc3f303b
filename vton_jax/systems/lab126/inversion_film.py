"""The backward procedure, watched: pictures and a clip of a layout or an image that settles, with its error curve."""

import csv
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import jax
import numpy as np

from vton_jax.core import files
from vton_jax.core.errors import WrongOption
from vton_jax.core.types import Pose
from vton_jax.layout import coarse_map, garment_types
from vton_jax.media import photo_files, video_files, visualize
from vton_jax.systems.garments import worn_together
from vton_jax.systems.job import Reading, TryOnJob
from vton_jax.systems.lab126 import presented_image
from vton_jax.systems.lab126.system import Lab126
from vton_jax.systems.options import InvertOptions, JobOptions
from vton_jax.systems.pictures import garment_files

_SLOW, _SLOW_FRAMES = 8, 4  # the first iterations move the most: so many are shown so many times as long
_RATE = 12  # frames a second


def invert(options: InvertOptions, output: Path, watch: Callable[[int, float], None]) -> list[float]:
    """The whole way, from files to the pictures in the folder `output`; returns Err before every iteration.

    Args: watch: called with (iteration, Err). Raises: UserError for files, frames or folders that cannot be used.
    """
    if options.present == "image" and options.pose:
        raise WrongOption(
            "pose", options.pose, "is for --present=layout: an image is presented in the photo's own pose."
        )
    if options.present == "image" and len(garment_files(options.garment)) > 1:
        raise WrongOption("garment", options.garment[1], "is one too many: --present=image lays a single one on.")
    if options.person and video_files.is_clip(options.person):
        raise WrongOption("person", options.person, "is a clip; give a photo, such as one frame of it.")
    shared = {field.name for field in dataclasses.fields(JobOptions)}
    given = {name: value for name, value in vars(options).items() if name in shared}
    last = sys.maxsize if options.frame is None else options.frame + 1
    job = TryOnJob(JobOptions(**given, remap="none", num_frames=last, painted_rate=0))
    pictures = job.pictures()
    if options.present == "image":
        pictures = dataclasses.replace(pictures, poses=[pictures.photo], rate=None)
    count = len(pictures.poses)
    index = options.frame if options.frame is not None and pictures.rate else count // 3
    if index >= count:
        raise WrongOption("frame", index, f"is past the end: the pose clip has {count} frames.")
    files.require_writable(output / "error.csv")
    reading = job.read(dataclasses.replace(pictures, poses=[pictures.poses[index]]))
    try:
        if options.present == "image":
            return write_image(job.system, reading, output, options, watch)
        return write(job.system, reading, output, options.num_iterations, watch)
    except OSError as error:
        raise WrongOption("output", output, f"cannot be written to: {error.strerror}.") from None


def write(system: Lab126, reading: Reading, output: Path, num_iterations: int, watch: Callable) -> list[float]:
    """Inverts the first pose of a reading; writes coarse.png, final.png, steps.png, iterations.mp4 and error.csv."""
    garment, *others = worn_together(reading.shown_garments)
    pose = jax.tree.map(lambda a: a[:1], reading.poses)
    user = garment_types.split_dress(reading.user.layout, garment.garment_type)
    beside = others[0].layout if others else None
    coarse, steps = system.layouts.coarse(user, garment, pose.layout, beside=beside)
    layouts, errors = [], []
    for layout, error in system.layouts.iterations(coarse, pose, reading.user.latent[None], num_iterations):
        layouts.append(layout)
        errors.append(error)
        watch(len(errors) - 1, error)
    colour = visualize.colour_segmentation
    output.mkdir(parents=True, exist_ok=True)
    photo_files.write_image(output / "coarse.png", colour(coarse[0]))
    photo_files.write_image(output / "steps.png", _steps_sheet(reading, pose, steps))
    _write_search(output, colour(coarse[0]), [colour(layout) for layout in layouts], errors)
    return errors


def write_image(system: Lab126, reading: Reading, output: Path, options: InvertOptions, watch: Callable) -> list[float]:
    """Presents the photo with the garment on it; writes presented.png, final.png, iterations.mp4 and error.csv."""
    image = presented_image.presented(system, reading)
    images, errors = [], []
    for found, error in presented_image.iterations(system, image, options.solver, options.num_iterations):
        images.append(visualize.to_uint8(found))
        errors.append(error)
        watch(len(errors) - 1, error)
    output.mkdir(parents=True, exist_ok=True)
    photo_files.write_image(output / "presented.png", visualize.to_uint8(image))
    _write_search(output, visualize.to_uint8(image), images, errors)
    return errors


def _write_search(output: Path, aim: np.ndarray, found: list[np.ndarray], errors: list[float]) -> None:
    photo_files.write_image(output / "final.png", found[-1])
    video_files.write_video(output / "iterations.mp4", _film(aim, found, errors), _RATE)
    _write_errors(output / "error.csv", errors)


def _steps_sheet(reading: Reading, pose: Pose, steps: dict[str, np.ndarray]) -> np.ndarray:
    frame = reading.pose_frames[0]
    inputs = [reading.views.person, visualize.to_uint8(reading.shown_garment.image), frame]
    joints = pose.layout.keypoints[0], pose.layout.visible[0]
    inputs.append(visualize.draw_skeleton(np.full_like(frame, 255), *joints))
    eight = [visualize.colour_segmentation(steps[name][0]) for name in coarse_map.STEPS]
    titles = ["user", "dress", "pose", "pose image"]
    return visualize.contact_sheet([inputs, eight[:4], eight[4:]], column_titles=titles)


def _film(aim: np.ndarray, found: list[np.ndarray], errors: list[float]) -> Iterator[np.ndarray]:
    height, width = aim.shape[:2]
    for index, picture in enumerate(found):
        curve = visualize.error_curve(errors[: index + 1], (height, 2 * width), len(errors), max(errors))
        frame = np.concatenate([aim, picture, curve], axis=1)
        for _ in range(_SLOW_FRAMES if index < _SLOW else 1):
            yield cv2.resize(frame, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)


def _write_errors(path: Path, errors: list[float]) -> None:
    with files.replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["iteration", "error"])
        writer.writerows([index, f"{error:.6f}"] for index, error in enumerate(errors))
