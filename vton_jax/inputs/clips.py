"""Clips from which a motion model learns: frames of one person each, in memory as pairs of a source and a driving one.

A folder holds files NUMBER.npz of arrays [K, T, ...]: `frames` uint8 [K, T, H, W, 3], and of the catalogue's clips
`points` float32 [K, T, P, 2] and `seen` bool [K, T, P], see `catalogue.moving`; real clips have none. `write` makes
the catalogue's (`cache_examples --kind=clips`), `data/build.py clips` those of a folder of clips.

Conventions: a batch is {'source', 'driving': uint8 [B, H, W, 3], 'source_points', 'driving_points': float32
[B, P, 2] in pixels of `size`, 'seen': bool [B, P]} where `seen` says which spots the driving frame shows; where nothing
is known none is seen. Every twentieth file is `validation`.
"""

import functools
from pathlib import Path

import cv2
import numpy as np

from vton_jax.catalogue import moving, scenes
from vton_jax.core import keypoints
from vton_jax.core.errors import UserError
from vton_jax.inputs import cached_examples, input_pipeline
from vton_jax.inputs.drawn_people import open_grounds

SIZE = (128, 128)
NUM_FRAMES = 8  # of a clip
BETWEEN = 0.45  # seconds from one to the next
_FIRST_OF_SCORES = 900_000  # clips that suites draw, of other people than any file's


def make(number: int, region: str, split: str, grounds: scenes.Grounds | None) -> dict[str, np.ndarray]:
    """The arrays of a file of the catalogue's clips."""
    count = cached_examples.CASES["clips"]
    found = []
    for case in range(number * count, (number + 1) * count):
        clip = moving.draw_clip(moving.scene(case, region, split, SIZE, grounds), np.arange(NUM_FRAMES) * BETWEEN)
        found.append({name: clip[name] for name in ("frames", "points", "seen")})
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def write(folder: str | Path, numbers: range, region: str, split: str, grounds: str | None = None) -> None:
    """Writes the files `numbers`; those that are there stay.

    Args: region: of `moving.REGIONS`. grounds: a folder of places without people. Raises: UserError where a folder
    cannot be used.
    """
    places = open_grounds(grounds, split)
    making = functools.partial(make, region=region, split=split, grounds=places)
    cached_examples.write(folder, numbers, making, compressed=False)


def read(folder: str | Path, size: tuple[int, int], split: str) -> dict[str, np.ndarray]:
    """All clips of a split: 'frames' uint8 [N, T, H, W, 3] at `size`, 'points' [N, T, P, 2] and 'seen' [N, T, P].

    Raises: UserError where the folder holds none.
    """
    files = cached_examples.files_of(folder)
    files = [path for number, path in enumerate(files) if (number % 20 == 19) == (split == "validation")]
    if not files:
        raise UserError(f"{folder} holds no clips of the split {split!r}; make them with {cached_examples.COMMAND} "
                        "--kind=clips, or data/build.py clips.")  # fmt: skip
    parts = []
    for path in files:
        part = cached_examples.read_file(path)
        if "frames" not in part:
            raise UserError(f"{path} holds other examples than clips; make them with --kind=clips.")
        lead, own = part["frames"].shape[:2], part["frames"].shape[2:4]
        part.setdefault("points", np.zeros((*lead, moving.NUM_POINTS, 2), np.float32))
        part.setdefault("seen", np.zeros((*lead, moving.NUM_POINTS), bool))
        if own != tuple(size):
            flat = part["frames"].reshape(-1, *part["frames"].shape[2:])
            method = cv2.INTER_AREA if own[0] > size[0] else cv2.INTER_LINEAR
            small = [cv2.resize(frame, size[::-1], interpolation=method) for frame in flat]
            part["frames"] = np.stack(small).reshape(*lead, *size, 3)
            part["points"] = keypoints.scale(part["points"], own, tuple(size))
        parts.append({name: part[name] for name in ("frames", "points", "seen")})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def open_batches(dataset: str, batch_size: int, seed: int, size: tuple[int, int], split: str):
    """Random pairs of frames of a mixture FOLDER:WEIGHT,FOLDER:WEIGHT; half of them mirrored. Raises: UserError."""
    mixture = input_pipeline.parse_mixture(dataset)
    parts = [read(folder, size, split) for folder, _ in mixture]
    weights = np.array([weight for _, weight in mixture]) / sum(weight for _, weight in mixture)
    first, num_rows = input_pipeline.own_rows(batch_size)

    def batch_at(position):
        generator = np.random.default_rng((seed, position))
        rows = []
        for part in generator.choice(len(parts), batch_size, p=weights):
            rows.append(_pair(parts[part], generator))
        rows = rows[first : first + num_rows]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    return input_pipeline.PositionedBatches(batch_at)


def _pair(clips: dict[str, np.ndarray], generator: np.random.Generator) -> dict[str, np.ndarray]:
    frames = clips["frames"]
    clip = int(generator.integers(len(frames)))
    source, driving = generator.choice(frames.shape[1], 2, replace=frames.shape[1] < 2)
    found = {
        "source": frames[clip, source],
        "driving": frames[clip, driving],
        "source_points": clips["points"][clip, source],
        "driving_points": clips["points"][clip, driving],
        "seen": clips["seen"][clip, driving],
    }
    if generator.random() < 0.5:
        width = frames.shape[3]
        for name in ("source", "driving"):
            found[name] = found[name][:, ::-1]
            found[f"{name}_points"] = found[f"{name}_points"] * np.float32([-1, 1]) + np.float32([width - 1, 0])
    return found


def score_scene(number: int, region: str, split: str, size: tuple[int, int]) -> moving.Scene:
    """A scene for scores: of people and places that no file shows."""
    return moving.scene(_FIRST_OF_SCORES + number, region, split, size)
