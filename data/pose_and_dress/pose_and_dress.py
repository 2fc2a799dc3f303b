"""Pose-and-Dress as a TFDS builder: samples of one person in two outfits and three poses, from annotated or raw videos.

Conventions: a sample is the contract of `vton_jax.input_pipeline` and where it comes from. The input frame is of one
video, the donor and the output frame (the truth) are of another one of the same person, in another outfit. Images are
stored as PNG: uint8 RGB [H, W, 3], label maps uint8 [H, W, 1]. TensorFlow is not needed: images are given as encoded
bytes.
"""

import dataclasses
import io
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import tensorflow_datasets as tfds

from data.pose_and_dress import selection
from data.raw import annotate, catalogue, engine, units
from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.media import video_files
from vton_jax.reading.choice import Choice

PEOPLE = ("input", "donor", "output")


def _field(default, text: str):
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class Settings(Choice):
    """How samples are made. Distances of poses are fractions of the person's height (see `selection.pose_distance`)."""

    frames_per_video: int = _field(8, "At most so many frames of a video are used.")
    pose_distance: float = _field(0.07, "How far apart the poses of a sample are, a fraction of the person's height.")
    crop_size: tuple[int, int] = _field((256, 192), "Size of the crops of raw videos.")
    rate: float = _field(6.0, "Frames a second of a raw video that are looked at.")
    max_frames: int = _field(60, "And at most so many of a video.")

    @property
    def looking(self) -> annotate.Settings:
        # Half as many again as are used, since some of what is kept does not show the garment.
        kept = self.frames_per_video + self.frames_per_video // 2
        return annotate.Settings(self.crop_size, self.rate, self.max_frames, kept, self.pose_distance)

    @property
    def annotators(self) -> Choice:
        return Choice(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Choice)})


class Builder(tfds.core.GeneratorBasedBuilder):
    """Prepares Pose-and-Dress from a folder of videos, with truth files or raw."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {  # noqa: RUF012  (TFDS's way)
        "2.0.0": "A whole outfit is of the garment type `outfit`; `dress` is one piece.",
        "1.0.0": "First version.",
    }

    def __init__(self, *, source=None, settings: Settings | None = None, execution=None, **kwargs):
        self.source, self.settings = source, settings or Settings()
        self.execution = execution or engine.Execution()
        self.raw = None  # what became of the raw videos
        self.broken = []  # (video, None, reason) of those that have their truth but cannot be used
        super().__init__(**kwargs)

    @classmethod
    def fingerprint(cls, source: str | Path, settings: Settings) -> str:
        """A digest of what the dataset would be made from; kept in its metadata."""
        return _Plan(source, settings).fingerprint

    @staticmethod
    def execution_options(work_dir, workers: int, runner: str, beam_options) -> dict:
        """How raw videos are worked on, as an argument of the builder."""
        return {"execution": engine.Execution(str(work_dir), workers, runner, tuple(beam_options))}

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "garment_type": tfds.features.ClassLabel(names=list(segmentation.GARMENT_TYPES)),
            "dress_image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
        }
        for person in PEOPLE:
            features |= {
                f"{person}_image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                f"{person}_segmentation": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                f"{person}_keypoints": tfds.features.Tensor(shape=(18, 2), dtype=np.float32),
                f"{person}_visible": tfds.features.Tensor(shape=(18,), dtype=np.bool_),
            }
        # Where it comes from: ids of the garments separated by spaces (the input's outfit, then the donor's).
        texts = ("person", "input_video", "donor_video", "input_garments", "donor_garments")
        features |= {name: tfds.features.Text() for name in texts}
        features |= {f"{person}_frame": tfds.features.Scalar(np.int32) for person in PEOPLE}
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features), metadata=tfds.core.MetadataDict()
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # nothing is downloaded
        if self.source is None:
            raise UserError("Pose-and-Dress is made from a folder of videos: give --source=DIR.")
        plan = _Plan(self.source, self.settings)
        self.info.metadata["fingerprint"] = plan.fingerprint
        videos = self._usable(plan.source)
        if plan.source.raw:
            self.raw = catalogue.gather(
                plan.source,
                plan.contents,
                plan.made_by,
                self.settings.annotators,
                self.settings.looking,
                execution=self.execution,
            )
            self.raw.rejected += self.broken
            videos += self.raw.videos
        splits, dropped = selection.split_videos(videos)
        if dropped:
            print(f"{len(dropped)} videos are left out, since their garments are in another split: "
                  f"{', '.join(dropped)}", file=sys.stderr)  # fmt: skip
        samples = {name: self._samples(part) for name, part in splits.items()}
        if self.raw:
            self.raw.note_use(splits, dropped, samples)
        if empty := [name for name in splits if not samples[name]]:
            print(f"No person gives samples for {', '.join(empty)}; more people would.", file=sys.stderr)
        if len(empty) == len(splits):
            why = f" {self.raw.most_frequent_reason()}" if self.raw else f" {self.broken[0][2]}" if self.broken else ""
            raise UserError(f"{self.source} gives no samples: a person needs two videos in two outfits, and three "
                            f"poses that differ clearly.{why}")  # fmt: skip
        # The plan is small, the videos are read person by person.
        return {name: self._generate_examples(part) for name, part in samples.items() if part}

    def _usable(self, source: selection.Source) -> list[selection.Video]:
        """The videos with their truth, without arrays; a broken one never stops the rest, it is listed."""
        videos = []
        for files in source.annotated:
            try:
                video = selection.read_video_truth(*files)
                _read_frames(video)  # a broken file should be known before samples are chosen
            except UserError as error:
                reason = str(error).replace(f"{source.folder}/", "")  # the lists should not depend on the folder
                self.broken.append((files[0].relative_to(source.folder).as_posix(), None, reason))
            else:
                videos.append(dataclasses.replace(video, **selection.NO_ARRAYS))
        for path in source.lone:
            name = path.relative_to(source.folder).as_posix()
            self.broken.append((name, None, "there is no video to this truth file"))
        if self.broken:
            print(f"{len(self.broken)} files of the catalogue cannot be used, and rejected.csv lists them: "
                  f"{self.broken[0][2]}", file=sys.stderr)  # fmt: skip
        return videos

    def _samples(self, videos: list[selection.Video]) -> list[selection.Sample]:
        ordered = sorted(videos, key=lambda video: (video.person, video.name))
        samples = []
        for _, part in itertools.groupby(ordered, key=lambda video: video.person):
            part = list(part)
            small = {video.name: video for video in part}
            for sample in selection.samples_of_person(
                [_load(video) for video in part], self.settings.frames_per_video, self.settings.pose_distance
            ):
                worn, giver = small[sample.input_video.name], small[sample.donor_video.name]
                samples.append(dataclasses.replace(sample, input_video=worn, donor_video=giver))
        return samples

    def _generate_examples(self, samples: list[selection.Sample]) -> Iterator[tuple[str, dict]]:
        for _, part in itertools.groupby(samples, key=lambda sample: sample.input_video.person):
            videos, frames = {}, {}
            for sample in part:
                for video in (sample.input_video, sample.donor_video):
                    if video.name not in frames:
                        videos[video.name] = _load(video)
                        frames[video.name] = _read_frames(videos[video.name])
                loaded = dataclasses.replace(
                    sample, input_video=videos[sample.input_video.name], donor_video=videos[sample.donor_video.name]
                )
                yield sample.key, example(loaded, frames)

    def write_reports(self, folder: Path) -> None:
        """What became of the videos, beside the dataset: rejected.csv, and of raw ones people.csv and report.html."""
        if self.raw:
            self.raw.write_reports(folder)
        elif self.broken:
            catalogue.write_rejected(folder, sorted(self.broken))


class _Plan:
    """What a dataset is made from: the source's files, their digests and what annotates them."""

    def __init__(self, source: str | Path, settings: Settings):
        self.source = selection.list_source(source)
        files = [path for pair in self.source.annotated for path in pair] + self.source.lone
        files += self.source.raw.values()
        if self.source.raw and self.source.people_file:
            files.append(self.source.people_file)
        contents = engine.digests(files)
        self.contents = dict(zip(files, contents, strict=True))
        about = {"version": str(Builder.VERSION), **dataclasses.asdict(settings)}
        for field in dataclasses.fields(Choice):  # the annotators' names say what these are, wherever the files lie
            about.pop(field.name)
        self.made_by = ""
        if self.source.raw:
            self.made_by = f"{settings.annotators.load().name} {settings.looking} version {annotate.VERSION}"
        about["made_by"] = self.made_by
        listed = [(path.relative_to(self.source.folder).as_posix(), self.contents[path]) for path in files]
        self.fingerprint = selection.fingerprint(about, listed)


def _load(video: selection.Video) -> selection.Video:
    """A video with its arrays."""
    if video.shot is None:
        return selection.read_video_truth(video.path, video.path.parent.parent / "truth" / f"{video.path.stem}.npz")
    shot = units.read(video.path).shots[video.shot]
    return dataclasses.replace(
        video, segmentation=shot.segmentation, keypoints=shot.keypoints, visible=shot.visible, numbers=shot.numbers
    )


def _read_frames(video: selection.Video) -> np.ndarray:
    """The frames of a video [T, H, W, 3]; UserError where they are not those of its truth file."""
    if video.shot is not None:
        return units.read(video.path).shots[video.shot].images
    frames, _ = video_files.read_video(video.path)
    if frames.shape[:3] != video.segmentation.shape:
        shown, told = (f"{t} frames of {h}x{w} pixels" for t, h, w in (frames.shape[:3], video.segmentation.shape))
        raise UserError(f"{video.path} has {shown}, its truth file {told}; write the catalogue again.")
    return frames


def _png(image: np.ndarray) -> io.BytesIO:
    """Encoded bytes: an array would call TensorFlow's encoder."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image)
    return io.BytesIO(encoded.tobytes())


def example(sample: selection.Sample, frames: dict[str, np.ndarray]) -> dict:
    """The features of a sample; `frames` maps names of videos to their frames."""
    worn, giver = sample.input_video, sample.donor_video
    places = dict(
        zip(
            PEOPLE, ((worn, sample.input_frame), (giver, sample.donor_frame), (giver, sample.output_frame)), strict=True
        )
    )
    features = {
        "garment_type": segmentation.GARMENT_TYPES[sample.garment_type],
        "person": worn.person,
        "input_video": worn.name,
        "donor_video": giver.name,
        "input_garments": " ".join(filter(None, worn.garments)),
        "donor_garments": " ".join(filter(None, giver.garments)),
    }
    for person, (video, index) in places.items():
        features |= {
            f"{person}_image": _png(frames[video.name][index]),
            f"{person}_segmentation": _png(video.segmentation[index]),
            f"{person}_keypoints": video.keypoints[index],
            f"{person}_visible": video.visible[index],
            f"{person}_frame": index if video.numbers is None else int(video.numbers[index]),
        }
    given = selection.donated(giver.segmentation[sample.donor_frame], sample.garment_type)
    dress = np.where(given[..., None], frames[giver.name][sample.donor_frame], np.uint8(255))
    return features | {"dress_image": _png(dress)}
