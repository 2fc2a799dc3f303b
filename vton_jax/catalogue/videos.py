"""Videos, photos and flat garments with their truth, as if a shop had handed them over.

Conventions: a person has one look and one place (one photo session) and several videos, each in another outfit:
consecutive outfits differ in the upper garment, in the lower one, or in everything but the shoes. Below the folder::

    videos/PERSON_K.mp4      H.264: the person walks on the spot and turns once
    photos/PERSON_K.png      the person, from the front, in the same outfit
    truth/PERSON_K.npz       segmentation uint8 [T, H, W]; keypoints float32 [T, 18, 2]; visible bool [T, 18]; yaw
                             float32 [T] in radians; times float32 [T] in seconds; person, outfit_id; upper, lower,
                             dress: the garments' ids, '' where there is none
    garments/GARMENT.png     the garment alone, laid flat on white; GARMENT_mask.png (255: garment)
    catalogue.csv            video, person, outfit, garments
    catalogue.json           the settings

A garment's id is a digest of its cut and cloth, so that two garments with one id are the same and a split by garments
can be proven. People and cloth are of the catalogue's split `train`, and no shard shows the people. The same settings
give the same bytes. A video is finished when it exists: a stopped run goes on.
"""

import csv
import dataclasses
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vton_jax.catalogue import (
    characters,
    examples,
    exchanges,
    garments,
    motion,
    people,
    photo_cloth,
    poses,
    scenes,
    styles,
    wardrobe,
)
from vton_jax.catalogue.garments import Cut
from vton_jax.core import files, segmentation
from vton_jax.core.errors import UserError
from vton_jax.media import photo_files, video_files

_SPLIT = "train"
_FIRST = 3_000_000  # number of the first character: examples count from 0
_PEOPLE = 10_000  # of a seed
_SMALLEST = 32
_CLOSEST = 0.76  # of the picture's height that people fill at most: a foot that steps towards the camera stays in it
_CHANGES = (0.4, 0.3, 0.3)  # what the next outfit changes: upper, lower, everything


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the bytes of a folder depend on, beside the number of people and videos."""

    seed: int = 0
    seconds: float = 4.0
    frame_rate: float = 15.0
    size: tuple[int, int] = (256, 192)

    @property
    def num_frames(self) -> int:
        return max(round(self.seconds * self.frame_rate), 1)


@dataclasses.dataclass(frozen=True)
class Video:
    """One video to come: who, in what, doing what, where."""

    name: str
    who: str
    index: int
    person: people.Person
    outfit: list[garments.Garment]
    skins: dict[str, np.ndarray]
    moves: motion.Motion
    photo_pose: poses.Pose
    place: examples.Place
    garments: dict[str, str]  # 'upper', 'lower', 'dress' -> id, '' where there is none


# ------------------------------------------------------------------------------------------------------- who wears what


def _id(kind: str, pieces: list[garments.Garment], skins: dict[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for piece in pieces:
        cloth = piece.cut.cloth
        found.update(repr(dataclasses.replace(piece.cut, cloth=None)).encode())
        found.update(cloth.name.encode() if cloth is not None else skins[piece.name].tobytes())
    return f"{kind}-{found.hexdigest()[:12]}"


def _ids(outfit: list[garments.Garment], skins: dict[str, np.ndarray]) -> dict[str, str]:
    """The ids of what is worn: {'upper': id, 'lower': id, 'dress': id}, '' where there is none."""
    if outfit[0].name.startswith("dress"):
        return {"upper": "", "lower": "", "dress": _id("dress", outfit, skins)}
    top, lower = outfit
    return {"upper": _id("upper", [top], skins), "lower": _id(lower.name, [lower], skins), "dress": ""}


def _next_cuts(
    generator: np.random.Generator, worn: tuple[Cut, Cut], gender: float, style: str
) -> tuple[Cut, Cut, set]:
    """(top, what is below, the names of garments that stay) of an outfit after `worn`."""
    top, lower = photo_cloth.sample(generator, garments.sample_cuts(generator, gender, style), _SPLIT, exchanges.PHOTO)
    change = generator.choice(3, p=_CHANGES)
    if change == 2 or "dress" in (worn[1].kind, lower.kind):
        return top, lower, set()
    if change == 0:
        return dataclasses.replace(top, hem=worn[0].hem), worn[1], {worn[1].kind}
    return worn[0], lower, {"top"}


def plan_person(settings: Settings, number: int, num_videos: int) -> Iterator[Video]:
    """The videos of one person. They depend on seed and number alone; more videos leave the first as they are."""
    character = _FIRST + _PEOPLE * settings.seed + number
    who, name = characters.character(character, _SPLIT), f"s{settings.seed}-p{number:04d}"
    gender = who.identity.gender
    generator = np.random.default_rng([characters.SPLITS.index(_SPLIT), character, 3])
    shoes, tall = wardrobe.sample_shoes(generator), people.dress(who.identity).height
    eye, light = scenes.sample_camera(generator, settings.size, tall, _CLOSEST), scenes.sample_light(generator)
    ground = scenes.sample_ground(generator, eye, settings.size)
    place = examples.Place(eye, light, ground, int(generator.integers(2**32)))
    cuts, skins = None, {}
    for k in range(num_videos):
        generator = np.random.default_rng([characters.SPLITS.index(_SPLIT), character, 4 + k])
        style, stays = styles.sample(generator), set()
        if cuts is None:
            sampled = garments.sample_cuts(generator, gender, style)
            cuts = photo_cloth.sample(generator, sampled, _SPLIT, exchanges.PHOTO)
        else:
            *cuts, stays = _next_cuts(generator, cuts, gender, style)
        outfit = garments.outfit(*cuts)
        person = people.dress(who.identity, [*outfit, shoes, *who.hair])
        stays = stays | ({shoes} if k else set())
        skins = exchanges.textures_of(generator, who, person, style) | {layer: skins[layer] for layer in stays}
        moves = motion.sample(generator, settings.seconds)
        front = poses.sample_stance(generator).turned(float(0.2 * generator.normal()))
        yield Video(f"{name}_{k}", name, k, person, outfit, skins, moves, front, place, _ids(outfit, skins))


# ---------------------------------------------------------------------------------------------------------------- files


def _write_garments(folder: Path, video: Video, identity, size: tuple[int, int]) -> None:
    pieces = {"upper": video.outfit[:1], "lower": video.outfit[1:], "dress": video.outfit}
    for worn, name in video.garments.items():
        done = folder / f"{name}_mask.png"
        if not name or done.exists():
            continue
        shot = examples.lay_on_white(identity, pieces[worn], video.skins, size)
        photo_files.write_image(folder / f"{name}.png", shot.image)
        mask = segmentation.region(shot.view.segmentation, segmentation.GARMENTS)
        photo_files.write_image(done, np.where(mask, 255, 0).astype(np.uint8))


def _write_video(folder: Path, video: Video, identity, settings: Settings) -> None:
    times = (np.arange(settings.num_frames) / settings.frame_rate).astype(np.float32)
    shots = (video.place.shot(video.person, video.skins, motion.pose_at(video.moves, float(t))) for t in times)
    images, truth = [], {"segmentation": [], "keypoints": [], "visible": [], "yaw": []}
    for shot in shots:
        points, visible = shot.view.keypoints()
        images.append(shot.image)
        found = (shot.view.segmentation, np.where(visible[:, None], points, 0), visible, np.float32(shot.yaw))
        for values, value in zip(truth.values(), found, strict=True):
            values.append(value)
    _write_garments(folder / "garments", video, identity, settings.size)
    photo = video.place.shot(video.person, video.skins, video.photo_pose).image
    photo_files.write_image(folder / "photos" / f"{video.name}.png", photo)
    path = folder / "truth" / f"{video.name}.npz"
    with files.replacing(path) as temporary, files.writing(path):
        np.savez_compressed(
            temporary, times=times, person=np.array(video.who), outfit_id=np.array(f"{video.who}-o{video.index}"),
            **{name: np.stack(values) for name, values in truth.items()},
            **{worn: np.array(name) for worn, name in video.garments.items()},
        )  # fmt: skip
    # The video comes last: where it exists, all of it does.
    video_files.write_video(folder / "videos" / f"{video.name}.mp4", images, settings.frame_rate)


def _prepare(folder: Path, settings: Settings) -> None:
    """Creates the folders, proves that they can be written to, and that nothing of other settings lies there."""
    try:
        for name in ("videos", "photos", "truth", "garments"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder / name):
                pass
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be written to ({error.strerror}); choose another.") from None
    # 4 and 4.0 frames a second are the same.
    plain = {name: float(v) if isinstance(v, int) else v for name, v in dataclasses.asdict(settings).items()}
    about = json.dumps(plain, indent=1) + "\n"
    path = folder / "catalogue.json"
    if path.exists() and path.read_text() != about:
        raise UserError(f"{folder} holds a catalogue with other settings (see {path}); choose another folder.")
    files.write_text(path, about)


def _write_table(folder: Path) -> None:
    """catalogue.csv of all finished videos."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("video", "person", "outfit", "garments"))
    for path in sorted((folder / "videos").glob("*.mp4")):
        with np.load(folder / "truth" / f"{path.stem}.npz", allow_pickle=False) as truth:
            worn = [str(truth[name]) for name in ("upper", "lower", "dress")]
            table.writerow((path.name, truth["person"], truth["outfit_id"], " ".join(filter(None, worn))))
    files.write_text(folder / "catalogue.csv", text.getvalue())


def write(folder: str | os.PathLike, num_people: int, videos_per_person: int, settings: Settings) -> Iterator[str]:
    """Checks and prepares the folder; the iterator writes the videos and yields the name of each that is finished.

    Videos that exist are not written again. Raises UserError, before the iterator runs, for a folder that cannot be
    written to or holds other videos, and for numbers that make none.
    """
    for value, what in ((num_people, "person"), (videos_per_person, "video a person")):
        if value < 1:
            raise UserError(f"A catalogue needs at least one {what}; {value} were asked for.")
    if settings.seconds <= 0 or settings.frame_rate <= 0:
        raise UserError("A catalogue needs a length in seconds and a frame rate above 0.")
    if settings.seed < 0:
        raise UserError(f"A seed is a number from 0 on, not {settings.seed}.")
    if min(settings.size) < _SMALLEST:
        raise UserError(
            f"Frames of {settings.size[0]}x{settings.size[1]} show nobody; {_SMALLEST} pixels are the least."
        )
    folder = Path(folder).expanduser()
    _prepare(folder, settings)

    def write_all():
        for number in range(num_people):
            identity = characters.character(_FIRST + _PEOPLE * settings.seed + number, _SPLIT).identity
            for video in plan_person(settings, number, videos_per_person):
                finished = [folder / "videos" / f"{video.name}.mp4", folder / "truth" / f"{video.name}.npz"]
                if not all(path.exists() for path in finished):
                    _write_video(folder, video, identity, settings)
                yield video.name
        _write_table(folder)

    return write_all()
