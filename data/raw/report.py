"""report.html: who was found, which frames were chosen, what was rejected and how the poses are spread."""

import base64
import collections
import html
from pathlib import Path

import cv2
import numpy as np

from data.pose_and_dress import selection
from data.raw import units
from vton_jax.core import keypoints
from vton_jax.media import visualize

_MOST_PEOPLE = 60  # in pictures; the tables beside the report hold everybody
_FRAMES = 4  # of a shot
_CELL = (128, 96)
_LISTED = 400  # rejections
_STYLE = (
    "body{font-family:sans-serif;margin:2em;color:#222}table{border-collapse:collapse}td,th{padding:2px 10px;"
    "text-align:left;border-bottom:1px solid #ddd;font-size:13px}img{display:block;max-width:100%}h2{margin-top:2em}"
)


def page(raw) -> str:
    """The whole page; `raw` is a catalogue.Raw."""
    people = collections.defaultdict(list)
    for video in raw.videos:
        people[video.person].append(video)
    used = sum(1 for video in raw.videos if raw.samples.get(video.name))
    parts = [
        f"<h1>Raw videos</h1><p>{raw.total} videos, {len(raw.videos)} shots that show somebody, {len(people)} people ("
        f"{html.escape(raw.found_by)}); {used} shots are used in samples. rejected.csv and people.csv have it all.</p>",
        "<h2>Pose coverage</h2><p>Where the joints of the kept frames lie around the middle of the torso, in fractions "
        "of the person's height: red wrists, blue ankles, green nose.</p>",
        _picture(_coverage(raw.videos)),
        "<h2>Rejections</h2>",
        _summary(raw.rejected),
        "<h2>People</h2>",
    ]
    for person in sorted(people)[:_MOST_PEOPLE]:
        parts.append(_person(person, people[person], raw))
    if len(people) > _MOST_PEOPLE:
        parts.append(f"<p>{len(people) - _MOST_PEOPLE} more people are in people.csv.</p>")
    parts += ["<h2>Every rejection</h2>", _every(raw.rejected)]
    return f"<!doctype html><meta charset='utf-8'><title>Raw videos</title><style>{_STYLE}</style>" + "\n".join(parts)


def _person(person: str, videos: list[selection.Video], raw) -> str:
    rows, titles = [], []
    for video in videos:
        shot = units.read(video.path).shots[video.shot]
        some = np.unique(np.linspace(0, len(shot.numbers) - 1, _FRAMES).round().astype(int))
        drawn = [visualize.draw_skeleton(shot.images[i], shot.keypoints[i], shot.visible[i]) for i in some]
        rows.append(drawn + [visualize.colour_segmentation(shot.segmentation[i]) for i in some])
        titles.append(Path(video.name).name[-28:])
    captions = [
        f"{html.escape(v.name)}: {raw.splits.get(v.name, 'no split')}, {raw.samples.get(v.name, 0)} samples, wears "
        + html.escape(", ".join(_short(garment) for garment in v.garments if garment))
        for v in videos
    ]
    sheet = visualize.contact_sheet(rows, titles, cell=_CELL)
    return f"<h3>{html.escape(person)}</h3><p>{'<br>'.join(captions)}</p>{_picture(sheet)}"


def _short(garment: str) -> str:
    """upper-PERSON-0 -> upper 0"""
    return f"{garment.split('-')[0]} {garment.rsplit('-', 1)[1]}"


def _coverage(videos: list[selection.Video]) -> np.ndarray:
    canvas = np.full((360, 360, 3), 255, np.uint8)
    colours = {"wrist": (200, 40, 40), "ankle": (40, 60, 200), "nose": (30, 150, 60)}
    for video in videos:
        spread = selection.normalise(video.keypoints, video.visible)
        for name, index in keypoints.ID.items():
            colour = colours.get(name.split("-")[-1])
            for x, y in spread[video.visible[:, index], index] if colour else ():
                cv2.circle(
                    canvas, (round(180 + 260 * float(x)), round(150 + 260 * float(y))), 2, colour, -1, cv2.LINE_AA
                )
    return canvas


def _summary(rejected) -> str:
    counts = collections.Counter(
        ("video" if frame is None else "frame", reason.split(":")[0]) for _, frame, reason in rejected
    )
    rows = [
        f"<tr><td>{count}</td><td>{kind}{'s' if count > 1 else ''}</td><td>{html.escape(reason)}</td></tr>"
        for (kind, reason), count in sorted(counts.items(), key=lambda item: (item[0][0] != "video", -item[1], item[0]))
    ]
    return f"<table>{''.join(rows)}</table>"


def _every(rejected) -> str:
    rows = [
        f"<tr><td>{html.escape(video)}</td><td>{'' if frame is None else frame}</td><td>{html.escape(reason)}</td></tr>"
        for video, frame, reason in sorted(rejected, key=lambda row: row[1] is not None)[:_LISTED]
    ]
    more = f"<p>{len(rejected) - _LISTED} more are in rejected.csv.</p>" if len(rejected) > _LISTED else ""
    return f"<table><tr><th>video</th><th>frame</th><th>reason</th></tr>{''.join(rows)}</table>{more}"


def _picture(image: np.ndarray) -> str:
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return f"<img src='data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}'>"
