"""A try-on from paths to a clip: what commands, batches and pages share.

    job = TryOnJob(person="me.jpg", garment="shirt.jpg", pose="walk.mp4")
    job.write("out/me.mp4")

First a `Reading`, which a caller may look at and replace; then results; then clip and contact sheet. Conventions:
pictures are uint8 [H, W, 3] of any size until they are normalised; results are float in [0, 1].
"""

import dataclasses
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from vton_jax import systems
from vton_jax.compositing import full_size, kept_parts, normalisation, temporal_filters
from vton_jax.core import files, framing, segmentation
from vton_jax.core.errors import Cancelled, WrongOption
from vton_jax.core.types import Garment, Pose, Result, User
from vton_jax.media import photo_files, video_files, visualize
from vton_jax.reading import outlines
from vton_jax.reading.descriptions import Description
from vton_jax.systems import pose_clips
from vton_jax.systems.contact_sheet import contact_sheet
from vton_jax.systems.garments import own_garment
from vton_jax.systems.options import JobOptions
from vton_jax.systems.protocol import TryOnSystem

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
STILL_RATE = 15  # frames a second of a clip whose pose is a photo

Progress = Callable[[str, int, int], None]  # stage, how many are done, of how many


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What the files hold, as they are."""

    photo: np.ndarray  # uint8 [H, W, 3]
    garment: np.ndarray | None  # uint8 [H, W, 3]; None: the person's own clothes
    poses: list[np.ndarray]  # uint8 [H, W, 3] each
    rate: float | None = None  # frames a second; None: the pose is a photo
    photo_mask: np.ndarray | None = None  # bool [H, W], what the photo's own alpha channel shows
    garment_mask: np.ndarray | None = None  # the same of the garment's picture


@dataclasses.dataclass(frozen=True)
class Said:
    """What a picture was taken for, in words."""

    file: str
    part: Literal["person", "garment"]
    what: Description


@dataclasses.dataclass(frozen=True)
class Reading:
    """What was read, before anybody is dressed. `dataclasses.replace` corrects it."""

    views: full_size.Views
    framing: normalisation.Framing
    user: User
    garments: tuple[Garment, ...]  # none: the person's own clothes
    poses: Pose
    pose_frames: np.ndarray  # uint8 [T, H, W, 3], normalised
    starts: tuple[int, ...] = (0,)  # the frames that begin a shot of the pose clip
    notes: tuple[str, ...] = ()  # what a user should know
    said: tuple[Said, ...] = ()  # nothing of a system whose reader describes nothing

    @functools.cached_property
    def shown_garment(self) -> Garment:
        """The garment, or the person's own clothes as one."""
        return self.garments[0] if self.garments else own_garment(self.user)


class TryOnJob:
    """One try-on.

    Args: options: what is asked for; further keywords change single ones. system: a `TryOnSystem` to use instead of the
    one that the options name. progress: called with (stage, done, total) along the way. Nothing is read before `read`.
    """

    def __init__(
        self,
        options: JobOptions | None = None,
        *,
        system: TryOnSystem | None = None,
        progress: Progress | None = None,
        **changes,
    ):
        self.options = _resolved(dataclasses.replace(options or JobOptions(), **changes))
        self._system, self._progress = system, progress or (lambda stage, done, total: None)
        self._cancelled = threading.Event()

    @functools.cached_property
    def system(self) -> TryOnSystem:
        """The system; weights are read on first use."""
        return self._system or systems.create(self.options)

    def cancel(self) -> None:
        """Lets the job end before its next frame, with `Cancelled`; from any thread."""
        self._cancelled.set()

    def _step(self, stage: str, done: int, total: int) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        self._progress(stage, done, total)

    # ---------------------------------------------------------------------------------------------------------- reading

    def pictures(self) -> Pictures:
        """Reads the files. Raises: MediaError for one that is missing, broken or none."""
        options = self.options
        photo, photo_mask = photo_files.read_cut_out(options.person or SAMPLES / "person.png")
        own_clothes = (options.garment or "").lower() == "none"
        garment, garment_mask = None, None
        if not own_clothes:
            garment, garment_mask = photo_files.read_cut_out(options.garment or SAMPLES / "garment.png")
        masks = {"photo_mask": photo_mask, "garment_mask": garment_mask}
        if options.person and not options.pose:
            return Pictures(photo, garment, [photo], **masks)
        limit = getattr(options, "num_frames", None)
        frames, rate = video_files.read_frames(Path(options.pose or SAMPLES / "pose.mp4"), limit)
        return Pictures(photo, garment, frames, rate, **masks)

    def read(self, pictures: Pictures | None = None) -> Reading:
        """Reads user, garment and poses. Raises: MediaError and what the system's reader raises, PersonLost."""
        pictures = pictures or self.pictures()
        self._step("reading", 0, 3)
        said = [*self._said("person", pictures.photo, pictures.photo_mask)]  # first: what it looks at is kept a while
        clip = pose_clips.one_person(self.system.reader, list(pictures.poses), pictures.rate)
        where = self._framing(pictures, clip.shots[0])
        views = self._views(pictures, where)
        user = self.system.read_user(views.person, where.person.shown(self.system.size))
        if pictures.photo_mask is not None:
            own = where.person.bring_mask(pictures.photo_mask, self.system.size)
            labels = outlines.keep(np.asarray(user.layout.segmentation), own)
            user = user.replace(layout=user.layout.replace(segmentation=labels))
        if self.options.background == "inpaint":
            backdrop = kept_parts.backdrop(user.image, np.asarray(user.layout.segmentation))
            user = user.replace(backdrop=backdrop)
        self._step("reading", 1, 3)
        garments: tuple[Garment, ...] = ()
        if pictures.garment is not None:
            kind = None if self.options.garment_type == "auto" else self.options.garment_type
            own = {}  # a system need not know of masks that no picture has
            if pictures.garment_mask is not None:
                own["mask"] = where.garment.bring_mask(pictures.garment_mask, self.system.size)
            garments = (self.system.read_garment(views.garment, kind, where.flat, **own),)
            said += self._said("garment", views.garment, own.get("mask"))
        self._step("reading", 2, 3)
        seen = pose_clips.read(self.system, clip, where.poses, self._shot_framing)
        self._step("reading", 3, 3)
        reading = Reading(views, where, user, garments, seen.poses, seen.frames, seen.starts)
        return dataclasses.replace(reading, notes=(*self._notes(reading), *seen.notes), said=tuple(said))

    def _said(self, part: Literal["person", "garment"], picture: np.ndarray, mask: np.ndarray | None) -> Iterator[Said]:
        describe = getattr(self.system.reader, "describe", None)
        if describe is not None:
            yield Said(self._name(part), part, describe(picture, mask))

    def _name(self, part: Literal["person", "garment"]) -> str:
        """The name of a picture's file."""
        return Path(getattr(self.options, part) or f"{part}.png").name

    def _notes(self, reading: Reading) -> Iterator[str]:
        if reading.framing.cut:
            yield f"{self._name('person')} does not show the whole person: what is missing is made up below it"
        if reading.framing.others:
            yield f"{self._name('person')} shows {reading.framing.others + 1} people: the largest is dressed"
        of_arms = f", arm '{self.options.remap}'" if self.options.system == "lab126" else f", {self.options.system}"
        frames = f"{len(reading.pose_frames)} frames{of_arms}"
        if reading.garments:
            garment, name = reading.garments[0], self._name("garment")
            kind = segmentation.GARMENT_TYPES[int(garment.garment_type)]
            yield f"{name}: {'laid flat' if garment.flat else 'worn'}, exchanging '{kind}'; {frames}"
        else:
            yield f"the person's own clothes; {frames}"

    def _framing(self, pictures: Pictures, shot: list[np.ndarray]) -> normalisation.Framing:
        flat = {"auto": None, "flat": True, "person": False}[self.options.garment_is]
        if self.options.framing == "photo":
            garment, flat = (pictures.photo, False) if pictures.garment is None else (pictures.garment, flat)
            return normalisation.find_framing(self.system.reader, pictures.photo, garment, flat, shot)
        return normalisation.Framing(flat=flat)

    def _shot_framing(self, shot: list[np.ndarray]) -> normalisation.Normalisation:
        """Where a later shot of the pose clip stands."""
        if self.options.framing == "photo":
            return normalisation.normalisation_of(self.system.reader, shot)[0]
        return normalisation.Normalisation()

    def _views(self, pictures: Pictures, where: normalisation.Framing) -> full_size.Views:
        size = self.system.size
        canvas = size
        if getattr(self.options, "output_size", None) is not None:
            canvas = full_size.canvas_for(size, self.output_size, pictures.photo.shape[:2])
        garment = pictures.photo if pictures.garment is None else pictures.garment
        return full_size.Views(where, pictures.photo, garment, size, canvas)

    # ------------------------------------------------------------------------------------------------------ the results

    def results(self, reading: Reading) -> Iterator[Result]:
        """A result for every pose, as they are made. Raises: Cancelled after `cancel`."""
        total = len(reading.pose_frames)
        self._step("try-on", 0, total)
        for done, result in enumerate(self.system.dress(reading.user, reading.garments, reading.poses), start=1):
            yield result
            self._step("try-on", done, total)

    def clip(self, reading: Reading, frames: np.ndarray, results: list[Result]) -> Iterator[np.ndarray]:
        """Filtered frames float [T, h, w, 3] at the size that was asked for: float [H, W, 3] each."""
        wanted = self.output_size
        for frame in reading.views.show(frames, results, reading.shown_garment):
            if wanted:
                frame = framing.fit(frame, wanted)[0]
            elif self.options.output_size is not None:
                frame = framing.fit(reading.views.photo, reading.views.size)[1].restore(frame)
            yield frame

    @property
    def output_size(self) -> tuple[int, int] | None:
        """`options.output_size` as (height, width); None for `photo` and where it is not given. Raises: WrongOption."""
        text = self.options.output_size
        if text in (None, "photo"):
            return None
        try:
            return framing.parse_size(text)
        except ValueError as error:
            raise WrongOption("output_size", text, f"is not understood: {error}, or photo.") from None

    def write(
        self,
        output: str | Path,
        reading: Reading | None = None,
        when_read: Callable[[Reading], None] = lambda reading: None,
    ) -> list[Result]:
        """Makes the clip `output` (.mp4) and beside it the contact sheet (.png); returns the results.

        Files are read first, and nothing is written before all is made. Args: reading: a corrected one. when_read:
        called with the reading. Raises: UserError where `output` cannot be, and what `read` and `results` raise.
        """
        output = Path(output)
        if output.suffix.lower() != ".mp4":
            raise WrongOption("output", output, "should end in .mp4.")
        _ = self.output_size  # a size that is none should not wait for the networks
        pictures = self.pictures()
        files.require_writable(output)
        reading = reading or self.read(pictures)
        when_read(reading)
        results = list(self.results(reading))
        images, name = np.stack([result.image for result in results]), self.options.temporal_filter
        shots = np.split(images, reading.starts[1:])
        filtered = np.concatenate([temporal_filters.apply(name, shot) for shot in shots])
        sheet = contact_sheet(reading, results, filtered)
        frames = self._counted(self.clip(reading, filtered, results), len(results))
        video_files.write_video(output, (visualize.to_uint8(frame) for frame in frames), pictures.rate or STILL_RATE)
        photo_files.write_image(output.with_suffix(".png"), sheet)
        return results

    def _counted(self, frames: Iterable[np.ndarray], total: int) -> Iterator[np.ndarray]:
        for done, frame in enumerate(frames, start=1):
            yield frame
            self._step("writing", done, total)


def _resolved(options: JobOptions) -> JobOptions:
    """The options without `auto`."""
    auto = {"remap": "post", "framing": "photo"}
    return dataclasses.replace(options, **{name: auto[name] for name in auto if getattr(options, name) == "auto"})
