"""Bare legs as the catalogue's body has them, seen from everywhere: they are drawn where a photo shows none.

What is written: see `compositing.drawn_legs`.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import scipy.ndimage

from data.catalogue import parts
from vton_jax.catalogue import bodies, people, poses
from vton_jax.compositing import drawn_legs
from vton_jax.core.files import replacing, writing
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.media.progress import Progress

_CROP = 700  # pixels a side, about the knee
CUT = 0.25  # of a vertex's weight is the leg's, from which on it is drawn
PARTS = ("thigh", "calf", "foot")
_WHOLE = 0.9  # of a row's usual width: with less, the leg is cut off there
_ENDS = (1.7, 1.95)  # places between which it is narrowest: below, the foot begins, which a shoe covers
_EVEN = 7  # rows whose median outline holds: at a bent knee single ones show the other bone
_TOP, _JUMP = 0.2, 0.008  # place, and body heights, by which a whole leg's outlines go aside from row to row below it
_SMOOTH = 1.2  # sigma in places of a leg's own frame: skin is smoother than its texture's grain


def looked_at(person: people.Person, alone: people.Person, skin: np.ndarray, pose: poses.Pose):
    """(key, outlines, detail) of the right leg in a pose, see `drawn_legs`."""
    joints = [JOINTS[f"right-{joint}"] for joint in ("hip", "knee", "ankle")]
    seen = parts.look(person, alone, skin, pose, joints[1], _CROP)
    alpha, detail = seen.at(drawn_legs.places(seen.joints[joints], float(seen.body.height) * parts.ZOOM))
    low, high = outlines(alpha > 0.5)
    inside = drawn_legs.between(low, high) & (alpha > 0.5)
    return drawn_legs.key(seen.body, "right"), np.stack([low, high], -1), _filled(detail, inside)


def outlines(shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Body heights [rows] from the bone to either outline of what is shown on it, bool [rows, columns]."""
    columns, edges = drawn_legs.COLUMNS, np.full((2, len(shown)), np.nan)
    half = 0.5 / drawn_legs.STEPS
    for number, row in enumerate(shown):
        if row.any():
            ends = np.flatnonzero(np.diff(np.pad(np.int8(row), 1))).reshape(-1, 2)
            begin, end = min(ends, key=lambda run: np.abs(columns[run[0] : run[1]]).min())
            edges[:, number] = columns[begin] - half, columns[end - 1] + half
    rows = np.arange(len(shown))
    known = np.isfinite(edges[0])
    if not known.any():
        return np.zeros(len(shown)), np.zeros(len(shown))
    low, high = (scipy.ndimage.median_filter(np.interp(rows, rows[known], edge[known]), _EVEN) for edge in edges)
    wide = high - low
    first = int(np.argmax(wide >= _WHOLE * np.percentile(wide[: drawn_legs.BINS], 80)))
    begin, end = (int(place * drawn_legs.BINS) for place in _ENDS)
    last = begin + int(wide[begin:end].argmin())
    rows = np.clip(rows, first, last)
    return low[rows], high[rows]


def is_whole(edges: np.ndarray) -> bool:
    """Whether outlines [rows, 2] are a leg's: where a bone points to the camera, what is by it is another's."""
    return np.abs(np.diff(edges[int(_TOP * drawn_legs.BINS) :], axis=0)).max() < _JUMP


def _filled(detail: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """What is inside, smoothed, and beyond it what is nearest."""
    if not inside.any():
        return np.zeros_like(detail)
    weight = np.float32(inside)
    smooth = cv2.GaussianBlur(weight * detail.astype(np.float32), (0, 0), _SMOOTH)
    smooth /= np.maximum(cv2.GaussianBlur(weight, (0, 0), _SMOOTH), 1e-3)
    nearest = scipy.ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return smooth[tuple(nearest)]


def build(output: str | Path, count: int = 128, looks: int = 1500) -> None:
    """Writes `count` legs that stand for `looks` poses, see `drawn_legs.FILE`."""
    generator = np.random.default_rng(12)
    person = people.dress(bodies.Identity())
    alone, skin = parts.alone(person, PARTS, CUT), parts.skin(generator)
    progress, found = Progress(looks, unit="legs"), []
    for number in range(looks):
        one = looked_at(person, alone, skin, poses.sample_pose(generator))
        found += [one] if is_whole(one[1]) else []
        progress.advance(number + 1)
    progress.close()
    key, edges, detail = parts.typical(found, count)
    with replacing(output) as temporary, writing(output):
        detail = parts.packed_detail(detail)
        np.savez_compressed(temporary, key=key, outlines=edges.astype(np.float16), detail=detail)
    print(f"{output}: {len(key)} legs", file=sys.stderr)
