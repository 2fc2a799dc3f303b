"""One raw video to a finished unit: decode, cut into shots, find the person, keep good frames of different poses.

Everything here is a function of the file's content, the settings and the annotators: which process runs it, and what
ran before, changes nothing.
"""

import dataclasses
from pathlib import Path

import numpy as np

from data.pose_and_dress import selection
from data.raw import outfits, quality, shots
from data.raw.units import Shot, Unit
from vton_jax.reading import person_crop, visible_only
from vton_jax.reading.choice import Annotators

VERSION = 1  # raised where the same video gives another unit; part of the units' names
_TOO_CLOSE = "pose too close to a chosen frame's"
_SHORTEST_SHOT = 3  # looked-at frames; a shorter shot gives no different poses


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a video is looked at."""

    size: tuple[int, int] = (256, 192)  # of the crops
    rate: float = 6.0  # frames a second that are looked at
    max_frames: int = 60  # and at most so many of a video
    frames_per_shot: int = 12  # kept
    pose_distance: float = 0.07  # between those that are kept, see selection.pose_distance


def annotate_video(path: str | Path, name: str, annotators: Annotators, settings: Settings) -> Unit:
    """The unit of a video. Raises MediaError where nothing can be decoded; never writes."""
    video = shots.decode(path, settings.rate, settings.max_frames)
    points, confidence = annotators.pose.estimate(video.frames)
    points, visible = visible_only(points, confidence, annotators.pose.threshold)
    rejected: list[tuple[int, str]] = []
    made = []
    for index in range(len(video.bounds)):
        here = np.flatnonzero(video.shots == index)
        if len(here) < _SHORTEST_SHOT:
            rejected += [(int(number), "the shot is too short") for number in video.numbers[here]]
            continue
        title = name if len(video.bounds) == 1 else f"{name}#{index}"
        poses = {"points": points, "visible": visible, "confidence": confidence}
        shot = _annotate_shot(video, here, title, annotators, settings, **poses, rejected=rejected)
        if shot is not None:
            made.append(shot)
    rejected.sort()
    reason = "" if made else f"no frame can be used; most often: {_most_frequent(rejected)}"
    return Unit(name, reason, video.problem, video.total, len(video.numbers), rejected, made)


def _most_frequent(rejected) -> str:
    reasons = [reason.split(":")[0] for _, reason in rejected if reason != _TOO_CLOSE]
    return max(sorted(set(reasons)), key=reasons.count) if reasons else "no frames"


def _annotate_shot(
    video, here, title, annotators: Annotators, settings: Settings, *, points, visible, confidence, rejected: list
) -> Shot | None:
    """The frames `here` as one shot, None where none is left; `rejected` takes the others."""
    head, feet = person_crop.head_and_feet(points[here], visible[here])
    spans = (feet - head)[np.isfinite(feet - head)]
    extent = float(np.median(spans)) if len(spans) else None
    boxes = person_crop.crop_boxes(points[here], visible[here], settings.size, extent)
    crops, kept = {}, []
    for i, box in zip(here, boxes, strict=True):
        problem = quality.pose_problem(points[i], visible[i], confidence[i], video.frames.shape[1:3])
        if not problem:
            crop, place = person_crop.crop_to(video.frames[i], box, settings.size)
            problem = quality.blur_problem(crop)
        if problem:
            rejected.append((int(video.numbers[i]), problem))
            continue
        crops[i] = crop, np.where(visible[i][:, None], place.points(points[i]), 0).astype(np.float32), box
        kept.append(i)
    if not kept:
        return None
    moved = np.stack([crops[i][1] for i in kept])
    # Far apart in pose, first; parsing is dear.
    track = selection.Video(title, "", ("", "", ""), None, moved, visible[kept], Path())
    chosen = selection.frames_apart(track, settings.frames_per_shot, settings.pose_distance)
    rejected += [(int(video.numbers[i]), _TOO_CLOSE) for k, i in enumerate(kept) if k not in chosen]
    images = np.stack([crops[kept[k]][0] for k in chosen])
    labels, certainty = annotators.parser.parse(images)
    others = _others(video.frames, points, visible, [kept[k] for k in chosen], annotators)
    good, embeddings, faces = [], [], []
    for row, i in enumerate(kept[k] for k in chosen):
        problem = others[row] or quality.parse_problem(labels[row], float(certainty[row]), crops[i][1], visible[i])
        found = []
        if not problem and annotators.faces:
            frame, parse = _close_up(video.frames[i], crops[i][2], labels[row])
            found = annotators.faces.faces(frame, parse)
            problem = quality.faces_problem([face.box[3] - face.box[1] for face in found])
        if problem:
            rejected.append((int(video.numbers[i]), problem))
            continue
        good.append(row)
        if found:
            embeddings.append(found[0].embedding)
            faces.append(int(video.numbers[i]))
    if not good:
        return None
    order = sorted(good, key=lambda row: kept[chosen[row]])  # by time
    frames = [kept[chosen[row]] for row in order]
    return Shot(
        name=title,
        numbers=video.numbers[frames],
        images=images[order],
        segmentation=labels[order],
        keypoints=np.stack([crops[i][1] for i in frames]),
        visible=visible[frames],
        confidence=confidence[frames],
        outfit=outfits.describe(images[order], labels[order]),
        embedding=np.mean(embeddings, 0).astype(np.float32) if embeddings else np.zeros(0, np.float32),
        faces=len(faces),
    )


def _others(frames, points, visible, chosen: list[int], annotators) -> list[str]:
    """For each chosen frame, whether somebody else is in it: who is found where the person is painted over."""
    painted = [quality.without_person(frames[i], points[i], visible[i]) for i in chosen]
    found, confidence = annotators.pose.estimate(np.stack([frame for frame, _ in painted]))
    spans = [float(np.ptp(points[i][visible[i], 1])) for i in chosen]
    seen = confidence >= annotators.pose.threshold
    boxes = [box for _, box in painted]
    return [quality.second_problem(*of) for of in zip(found, seen, confidence, boxes, spans, strict=True)]


def _close_up(frame: np.ndarray, box, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The box of a frame in the frame's own pixels, for faces, and the crop's labels at that size."""
    size = (max(2, round(float(box[3] - box[1]))), max(2, round(float(box[2] - box[0]))))
    close, _ = person_crop.crop_to(frame, box, size)
    rows = np.minimum(((np.arange(size[0]) + 0.5) * labels.shape[0] / size[0]).astype(int), labels.shape[0] - 1)
    columns = np.minimum(((np.arange(size[1]) + 0.5) * labels.shape[1] / size[1]).astype(int), labels.shape[1] - 1)
    return close, labels[rows][:, columns]
