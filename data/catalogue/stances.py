"""How people stand, from photos: directions of limbs in the person's own frame, by MediaPipe's landmarks in space.

Conventions: a stance is [14, 3] unit vectors in the order of `catalogue.poses.STANCE`; x is the person's left, y
up, z ahead of the hips. Bazarevsky and others, "BlazePose", 2020, for the landmarks; their depth is rough, so that what
no body can do is left out.
"""

import sys
from pathlib import Path

import numpy as np

from vton_jax.catalogue.poses import STANCE
from vton_jax.core.errors import UserError
from vton_jax.core.files import replacing, writing
from vton_jax.media import photo_files
from vton_jax.media.progress import Progress
from vton_jax.reading import pose

# MediaPipe's landmarks: left, right.
_AT = {
    "ear": (7, 8), "shoulder": (11, 12), "elbow": (13, 14), "wrist": (15, 16), "index": (19, 20), "hip": (23, 24),
    "knee": (25, 26), "ankle": (27, 28), "toe": (31, 32),
}  # fmt: skip
_LIMBS = {
    "upperarm": ("shoulder", "elbow"), "lowerarm": ("elbow", "wrist"), "hand": ("wrist", "index"),
    "thigh": ("hip", "knee"), "calf": ("knee", "ankle"), "foot": ("ankle", "toe"),
}  # fmt: skip
_SEEN = 0.6  # visibility of every landmark that is used; by eye on 60 training photos


class InSpace(pose.MediaPipePose):
    """MediaPipe's landmarks in metres about the middle of the hips."""

    def in_space(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(points [33, 3]: to the picture's right, down, away from the camera; visibility [33])."""
        self._one(frame)
        shapes = {tuple(detail["shape"]): detail["index"] for detail in self._interpreter.get_output_details()}
        points = self._interpreter.get_tensor(shapes[1, 117]).reshape(39, 3)[:33]
        logits = self._interpreter.get_tensor(self._landmarks).reshape(39, 5)[:33, 3]
        return points.astype(np.float64), 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def stance(points: np.ndarray, seen: np.ndarray) -> np.ndarray | None:
    """Landmarks [33, 3] with visibility [33] as a stance; None where a limb is not seen or cannot lie so."""
    used = [index for pair in _AT.values() for index in pair]
    if seen[used].min() < _SEEN:
        return None
    at = {name: points[list(pair)] * [1, -1, -1] for name, pair in _AT.items()}  # left, right: y up, z to the camera
    across = (at["hip"][0] - at["hip"][1]) * [1, 0, 1] + 0.5 * (at["shoulder"][0] - at["shoulder"][1]) * [1, 0, 1]
    across /= np.linalg.norm(across)
    frame = np.stack([across, [0, 1, 0], np.cross(across, [0, 1, 0])])  # left, up, ahead
    lines = [at[end][side] - at[start][side] for start, end in _LIMBS.values() for side in (0, 1)]
    lines += [at["shoulder"].mean(0) - at["hip"].mean(0), np.cross(at["ear"][0] - at["ear"][1], [0, 1, 0])]
    found = np.stack(lines) @ frame.T
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found if _possible(dict(zip(STANCE, found, strict=True))) else None


def _possible(lies: dict[str, np.ndarray]) -> bool:
    """Whether somebody can stand so: upright, knees that bend backwards, eyes ahead."""
    upright = lies["trunk"][1] > 0.93 and lies["head"][2] > 0.3
    legs = all(lies[f"thigh_{side}"][1] < -0.75 and lies[f"calf_{side}"][1] < -0.6 for side in "lr")
    knees = all(lies[f"calf_{side}"][2] < lies[f"thigh_{side}"][2] + 0.12 for side in "lr")
    elbows = all(lies[f"upperarm_{side}"] @ lies[f"lowerarm_{side}"] > -0.9 for side in "lr")
    return bool(upright and legs and knees and elbows)


def build(source: str | Path, pose_model: str | Path, output: str | Path) -> int:
    """Writes the stances of Clothing Co-Parsing's training photos, int8 [N, 14, 3] in parts of 127, to `output`.

    Returns how many. Raises: UserError for a folder without photos, or a file that is no MediaPipe model.
    """
    from data.ccp import ccp

    photos, model = ccp.Source(source, ccp.Settings()), InSpace(pose_model)
    pairs = [(split, pair) for split, of_split in photos.pairs().items() if split != "validation" for pair in of_split]
    found, progress = [], Progress(len(pairs), unit="photos")
    for number, (split, pair) in enumerate(pairs):
        photo = photo_files.read_photo(photos.path("person photo", split, pair, pair.person))
        lies = stance(*model.in_space(photo))
        found += [] if lies is None else [lies]
        progress.advance(number + 1)
    progress.close()
    if not found:
        raise UserError(f"{source} gives no stances: in no photo are all limbs seen.")
    with replacing(output) as temporary, writing(output):
        np.savez_compressed(temporary, stances=np.rint(127 * np.stack(found)).astype(np.int8))
    print(f"{output}: {len(found)} stances of {len(pairs)} photos", file=sys.stderr)
    return len(found)
