"""Which frames of which videos become samples, and who goes into which split.

Conventions: a source is a folder of videos. What lies as `videos/NAME.mp4` beside `truth/NAME.npz` has its truth (see
`vton_jax.catalogue.videos`; only what every annotated video has is read: segmentation, keypoints, visible, person
and garments); every other video is raw, see `data.raw`. Keypoints are [T, 18, 2] in pixels with visible [T, 18]. The
distance of two poses is a fraction of the person's height.
"""

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import numpy as np

from vton_jax.core import keypoints, listings, segmentation
from vton_jax.core.errors import UserError

SPLITS = ("train", "validation", "test")
WORN = ("upper", "lower", "dress")
# Fractions of the people, by the digest of their name: it stays theirs when a catalogue grows.
_VALIDATION, _TEST = 0.1, 0.1
_TORSO = [keypoints.ID[name] for name in ("neck", "right-shoulder", "left-shoulder", "right-hip", "left-hip")]
_SEEN_ONCE = 0.1  # what a joint adds to the distance that only one of two poses shows
_LEAST_GARMENT = 0.005  # fraction of the frame that the garment must cover in the donor and the output frame


@dataclasses.dataclass(frozen=True)
class Video:
    """A video and its truth. Arrays have T frames."""

    name: str
    person: str
    garments: tuple[str, str, str]  # ids of upper, lower and dress, '' where there is none
    segmentation: np.ndarray  # uint8 [T, H, W]
    keypoints: np.ndarray  # float32 [T, 18, 2]
    visible: np.ndarray  # bool [T, 18]
    path: Path
    numbers: np.ndarray | None = None  # frame numbers in the video, where the arrays hold only some frames
    shot: int | None = None  # of a raw video, whose `path` is its unit (see data.raw.units)

    @property
    def file(self) -> str:
        """The video's file: shots of one file share it."""
        return self.name.rsplit("#", 1)[0] if self.shot is not None else self.name


@dataclasses.dataclass(frozen=True)
class Sample:
    """The input frame of one video, the donor and the output frame of another; `garment_type` as in segmentation.py."""

    input_video: Video
    donor_video: Video
    input_frame: int
    donor_frame: int
    output_frame: int
    garment_type: int

    @property
    def key(self) -> str:
        return (
            f"{self.input_video.name}:{self.input_frame}-{self.donor_video.name}:{self.donor_frame}-{self.output_frame}"
        )


# A video of which only who wears what is kept in memory.
NO_ARRAYS = {
    "segmentation": np.zeros((0, 0, 0), np.uint8),
    "keypoints": np.zeros((0, 18, 2), np.float32),
    "visible": np.zeros((0, 18), bool),
}
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp")


@dataclasses.dataclass(frozen=True)
class Source:
    """What a folder holds: (video, truth) files, raw videos by their name (the path within the folder), lone truths."""

    folder: Path
    annotated: list[tuple[Path, Path]]
    raw: dict[str, Path]
    lone: list[Path]  # truth files without their video

    @property
    def people_file(self) -> Path | None:
        """The shop's own list of who is in which raw video, where there is one."""
        path = self.folder / "people.csv"
        return path if path.exists() else None


def list_source(source: str | Path) -> Source:
    """The videos of a source, by name. UserError where there are none."""
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}; give --source=DIR, a folder of videos, for example one that "
                        "python -m vton_jax.catalogue --output=DIR has written.")  # fmt: skip
    truths = {path.stem: path for path in listings.files_in(folder / "truth", "*.npz")}
    found = listings.files_in(folder, "**/*", suffixes=VIDEO_SUFFIXES)
    annotated, raw = [], {}
    for path in found:
        name = path.relative_to(folder).as_posix()
        if name == f"videos/{path.stem}.mp4" and path.stem in truths:
            annotated.append((path, truths.pop(path.stem)))
        else:
            raw[name] = path
    if not annotated and not raw:
        raise UserError(f"{folder} has no videos ({', '.join(VIDEO_SUFFIXES)}); give the folder of a catalogue.")
    return Source(folder, annotated, raw, list(truths.values()))


def fingerprint(settings: dict, files: list[tuple[str, str]]) -> str:
    """A digest of how samples are made, and of the (name, digest) of what they are made from."""
    digest = hashlib.sha256(repr(sorted(settings.items())).encode())
    for name, content in files:
        digest.update(f"{name} {content}".encode())
    return digest.hexdigest()[:16]


def read_video_truth(video: Path, truth: Path) -> Video:
    """Reads a truth file. UserError for a damaged one."""
    try:
        with np.load(truth, allow_pickle=False) as file:
            labels, points, visible = (file[name] for name in ("segmentation", "keypoints", "visible"))
            person, garments = str(file["person"]), tuple(str(file[worn]) for worn in WORN)
        frames = len(labels)
        if points.shape != (frames, 18, 2) or visible.shape != (frames, 18) or labels.ndim != 3 or not frames:
            raise ValueError(f"shapes {labels.shape}, {points.shape}, {visible.shape} do not belong together")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{truth} is damaged or no truth file ({error}); write the catalogue again.") from None
    return Video(video.stem, person, garments, labels, points.astype(np.float32), visible.astype(bool), video)


# --- poses -----------------------------------------------------------------------------------------------------------


def normalise(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Keypoints [..., 18, 2] from the middle of the torso, in fractions of a person's height; missing joints are 0."""
    used = visible[..., _TORSO, None]
    middle = (points[..., _TORSO, :] * used).sum(-2) / np.maximum(used.sum(-2), 1)
    height = keypoints.person_height(points, visible)
    return np.where(visible[..., None], (points - middle[..., None, :]) / height[..., None, None], 0)


def pose_distance(points, visible, other_points, other_visible) -> np.ndarray:
    """How different poses are [...]: the mean over all joints that either shows of how far they lie apart."""
    apart = np.linalg.norm(normalise(points, visible) - normalise(other_points, other_visible), axis=-1)
    both, either = visible & other_visible, visible | other_visible
    return np.where(both, apart, _SEEN_ONCE * either).sum(-1) / np.maximum(either.sum(-1), 1)


def distances(video: Video, frames: list[int], other: Video, other_frames: list[int]) -> np.ndarray:
    """Pose distances [len(frames), len(other_frames)]."""
    one, two = np.array(frames, int), np.array(other_frames, int)
    return pose_distance(
        video.keypoints[one][:, None], video.visible[one][:, None], other.keypoints[two][None], other.visible[two][None]
    )


def frames_apart(video: Video, count: int, least: float) -> list[int]:
    """At most `count` frames whose poses differ by at least `least` from each other: greedy farthest points.

    The first is the one that shows the most joints, the next always the one farthest from all before it.
    """
    everything = list(range(len(video.visible)))
    chosen = [int(video.visible.sum(1).argmax())]
    nearest = distances(video, chosen, video, everything)[0]
    while len(chosen) < count and nearest.max() >= least:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, distances(video, chosen[-1:], video, everything)[0])
    return chosen


# --- samples ---------------------------------------------------------------------------------------------------------


def garment_type(worn: tuple[str, str, str], donated: tuple[str, str, str]) -> int | None:
    """What differs between two outfits, an index in `segmentation.GARMENT_TYPES`; None where nothing does.

    Where a dress is involved, or both pieces differ, the whole outfit is given.
    """
    if worn == donated:
        return None
    if worn[2] or donated[2] or (worn[0] != donated[0] and worn[1] != donated[1]):
        return segmentation.GARMENT_TYPES.index("outfit")
    return 0 if worn[0] != donated[0] else 1


def donated(labels: np.ndarray, kind: int) -> np.ndarray:
    """Mask [H, W] of what the donor gives."""
    return segmentation.region(labels, segmentation.GARMENT_LABELS[segmentation.GARMENT_TYPES[kind]])


def samples_of_person(videos: list[Video], frames_per_video: int, least: float) -> list[Sample]:
    """All samples of one person's videos: every chosen frame is the output once for each other outfit.

    The three poses of a sample differ from each other by at least `least`; the garment is seen in the donor and in the
    output frame.
    """
    chosen = {video.name: frames_apart(video, frames_per_video, least) for video in videos}
    samples = []
    for worn in videos:
        for giver in videos:
            kind = garment_type(worn.garments, giver.garments)
            if kind is None or worn.file == giver.file:
                continue
            shown = [f for f in chosen[giver.name] if donated(giver.segmentation[f], kind).mean() >= _LEAST_GARMENT]
            # Which frames meet is drawn, but the same for the same videos.
            generator = np.random.default_rng(list(hashlib.sha256(f"{worn.name} {giver.name}".encode()).digest()))
            before = distances(worn, chosen[worn.name], giver, shown) >= least
            for output, frame in enumerate(shown):
                pairs = [
                    (i, d)
                    for i in range(len(chosen[worn.name]))
                    for d in range(len(shown))
                    if d != output and before[i, output] and before[i, d]
                ]
                if pairs:
                    i, d = pairs[generator.integers(len(pairs))]
                    samples.append(Sample(worn, giver, chosen[worn.name][i], shown[d], frame, kind))
    return samples


# --- splits ----------------------------------------------------------------------------------------------------------


def split_of(person: str) -> str:
    """The split of a person: a function of the name alone."""
    fraction = int.from_bytes(hashlib.sha256(f"pose_and_dress {person}".encode()).digest()[:8], "big") / 2**64
    return "test" if fraction < _TEST else "validation" if fraction < _TEST + _VALIDATION else "train"


def split_videos(videos: list[Video]) -> tuple[dict[str, list[Video]], list[str]]:
    """Videos by split, such that neither a person nor a garment is in two; and the names of what had to be dropped.

    People go by `split_of`. A video that shows a garment of the test split is dropped from the others, and one that
    shows a garment of the validation split from train.
    """
    splits, dropped, taken = {}, [], set()
    for split in reversed(SPLITS):
        mine = [video for video in videos if split_of(video.person) == split]
        kept = [video for video in mine if not taken & set(filter(None, video.garments))]
        dropped += [video.name for video in mine if all(video is not other for other in kept)]
        taken |= {garment for video in kept for garment in video.garments if garment}
        splits[split] = kept
    owners = [{g for v in splits[split] for g in v.garments if g} for split in SPLITS]
    assert sum(map(len, owners)) == len(set.union(*owners))
    return {split: splits[split] for split in SPLITS}, dropped
