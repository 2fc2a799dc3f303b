"""Answers to the benchmark's cases: by the systems of this project, and by two baselines.

Conventions: `user` is the user's photo as it is; `paste` lays the flat or worn garment's picture over it by a
similarity; anything else is an arm of lab126 or the name of another system.
"""

import json
from pathlib import Path

import cv2
import numpy as np

from vton_jax import systems
from vton_jax.benchmark import cases
from vton_jax.core.errors import UserError
from vton_jax.media import photo_files, visualize
from vton_jax.media.progress import Progress
from vton_jax.systems.job import TryOnJob
from vton_jax.systems.options import ARM_NAMES, SystemOptions

BASELINES = ("user", "paste")
_WIDTH = {"upper": 1.9, "lower": 2.3, "dress": 2.2, "outfit": 2.2}  # of a garment, in shoulder widths; by eye
_TOP = {"upper": 0.25, "lower": -0.1, "dress": 0.25, "outfit": 0.25}  # above neck or hips, in shoulder widths


def answer(given: str | Path, results: str | Path, method: str, *, weights: str | None = None, limit: int = 0) -> int:
    """Writes RESULTS/CASE.png for every case that has none yet, and returns how many there are.

    Args: weights: see `SystemOptions`. limit: the first so many cases, 0 for all.
    """
    rows, given, results = cases.listed(given), Path(given) / "test", Path(results)
    rows = rows[:limit] if limit else rows
    system = None
    if method not in BASELINES:
        arm = {"remap": method} if method in ARM_NAMES else {"system": method}
        system = systems.create(SystemOptions(weights=weights, **arm))
    progress = Progress(len(rows), unit="cases")
    for number, row in enumerate(rows):
        place = results / f"{row['case']}.png"
        if not place.exists():
            photo_files.write_image(place, _one(method, system, row, given))
        progress.advance(number + 1)
    progress.close()
    return len(rows)


def _one(method: str, system, row: dict[str, str], given: Path) -> np.ndarray:
    name, kind = f"{row['case']}.png", cases.type_of(row)
    user = cases.read_picture(given / "image" / name)
    if method == "user":
        return user
    if method == "paste":
        joints = given / "openpose_json" / f"{row['case']}_pose_keypoints.json"
        people = json.loads(joints.read_text())["people"]
        cloth = cases.read_picture(given / row["cloth_is"] / name)
        return paste(user, cloth, np.reshape(people[0]["pose_keypoints_2d"], (18, 3)), kind)
    job = TryOnJob(
        system=system,
        person=str(given / "image" / name),
        garment=str(given / row["cloth_is"] / name),
        pose=str(given / "pose" / name),
        garment_type=kind,
        garment_is="flat" if row["cloth_is"] == "cloth" else "person",
    )
    try:
        reading = job.read()
        result = next(job.results(reading))
    except UserError:  # it cannot read the case: the user stays as they are
        return user
    return visualize.to_uint8(next(job.clip(reading, [(result.image, result)])))


def paste(user: np.ndarray, cloth: np.ndarray, joints: np.ndarray, garment_type: str) -> np.ndarray:
    """The garment's picture, whatever is not like its border, over the user at the pose's joints [18, 3]."""
    border = np.concatenate([cloth[:2].reshape(-1, 3), cloth[:, :2].reshape(-1, 3), cloth[:, -2:].reshape(-1, 3)])
    apart = np.linalg.norm(cloth.astype(float) - np.median(border, 0), axis=-1)
    mask = (apart > 30).astype(np.float32)
    rows, columns = np.nonzero(mask)
    neck, right, left, hips = joints[1], joints[2], joints[5], joints[[8, 11]]
    if not len(rows) or min(neck[2], right[2], left[2]) <= 0:
        return user
    shoulders = max(float(np.hypot(*(right - left)[:2])), 0.08 * len(user))
    at = hips[:, :2].mean(0) if garment_type == "lower" and hips[:, 2].min() > 0 else neck[:2]
    scale = _WIDTH[garment_type] * shoulders / max(np.ptp(columns), 1)
    top = at[1] - _TOP[garment_type] * shoulders - scale * rows.min()
    matrix = np.float32([[scale, 0, at[0] - scale * (columns.min() + columns.max()) / 2], [0, scale, top]])
    size = user.shape[1::-1]
    laid, over = cv2.warpAffine(cloth, matrix, size), cv2.warpAffine(mask, matrix, size)[..., None]
    return np.rint(user * (1 - over) + laid * over).astype(np.uint8)
