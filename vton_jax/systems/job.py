"""A try-on from paths to a clip: what commands, batches and pages share.

    job = TryOnJob(person="me.jpg", garment="shirt.jpg", pose="walk.mp4")
    job.write("out/me.mp4")

First a `Reading`, which a caller may look at and replace; then results; then clip and contact sheet. Conventions:
pictures are uint8 [H, W, 3] of any size until they are normalised; results are float in [0, 1].
"""

import dataclasses
import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from vton_jax import systems
from vton_jax.compositing import backdrops, full_size, in_between, normalisation, temporal_filters
from vton_jax.core import batching, boxes, files, framing
from vton_jax.core.errors import Cancelled, WrongOption
from vton_jax.core.types import Garment, Pose, Result, User
from vton_jax.layout.tucking import TUCKS
from vton_jax.media import photo_files, video_files, visualize
from vton_jax.reading import outlines
from vton_jax.reading.descriptions import Description
from vton_jax.systems import contact_sheet, person_clips, pose_clips
from vton_jax.systems import pictures as picture_files
from vton_jax.systems.garments import kind_of, own_garment, within, worn_together
from vton_jax.systems.options import JobOptions
from vton_jax.systems.person_clips import PersonClip
from vton_jax.systems.pictures import Pictures
from vton_jax.systems.protocol import TryOnSystem

_THREADS = 2  # that bring frames to their full size
_AHEAD = 8  # frames that are painted before they are wanted
STILL_RATE = 15  # frames a second of a clip whose pose is a photo

Progress = Callable[[str, int, int], None]  # stage, how many are done, of how many


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
    clip: PersonClip | None = None  # of a person who moves: `user` is only the first of them
    every: int = 1  # of the result's frames so many make one of `poses`; the others are moved there
    count: int | None = None  # of the result's frames at most
    rate: float = STILL_RATE  # of the result's frames, a second
    part: boxes.Part | None = None  # of the photo, that was read: a result as large as the photo is put back there

    @property
    def num_frames(self) -> int:
        """Of the result."""
        total = len(self.pose_frames) * self.every
        return total if self.count is None else min(total, self.count)

    @functools.cached_property
    def shown_garment(self) -> Garment:
        """The first garment, or the person's own clothes as one."""
        return self.shown_garments[0]

    @functools.cached_property
    def shown_garments(self) -> tuple[Garment, ...]:
        """The garments, or the person's own clothes as one."""
        return self.garments or (own_garment(self.user),)


@dataclasses.dataclass(frozen=True)
class Written:
    """What became of a job."""

    num_frames: int  # of the clip
    results: dict[int, Result]  # of the poses that the contact sheet shows, by their numbers
    sheet: Path


class TryOnJob:
    """One try-on.

    Args: options: what is asked for; further keywords change single ones. system: a `TryOnSystem` to use instead of the
    one that the options name. progress: called with (stage, done, total) along the way, by `write` from a thread of its
    own as well. Nothing is read before `read`.
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
        self._cancelled, self._painted = threading.Event(), False

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
        """Reads the files. Raises: MediaError for one that is missing, broken or none, WrongOption."""
        return picture_files.read(self.options)

    def read(self, pictures: Pictures | None = None) -> Reading:
        """Reads user, garment and poses. Raises: MediaError and what the system's reader raises, PersonLost."""
        pictures = pictures or self.pictures()
        if pictures.clip and not getattr(self.system, "moving", False):
            why = f"is a clip, and the system {self.options.system} dresses photos; give one frame of it."
            raise WrongOption("person", pictures.clip, why)
        self._step("reading", 0, 3)
        if len(pictures.garments) == 1:
            getattr(self.system, "rehearse", list)()
        # First: what it looks at is kept a while.
        said = [*self._said("person", self._name, pictures.photo, pictures.photo_mask)]
        clip = pose_clips.one_person(self.system.reader, pictures.poses, pictures.poses_rate)
        where = self._framing(pictures, clip.shots[0])
        views = self._views(pictures, where)
        user = None if pictures.clip else self._read_user(pictures, views, where)
        self._step("reading", 1, 3)
        garments, of_garments = self._read_garments(pictures, views, where)
        self._step("reading", 2, 3)
        places = [where.poses, *(self._shot_framing(shot) for shot in clip.shots[1:])]
        own = None
        if pictures.clip:
            own = seen = person_clips.read(self.system, pictures.clip, pictures.poses, clip, places)
            user = person_clips.first_of(own, self.options.background == "inpaint")
        else:
            seen = pose_clips.read(self.system, clip, places)
            if pictures.rate is None and pictures.poses[0] is pictures.photo and where.person == where.poses:
                # Their own pose is as it was read: what is read twice differs by a hair, and would move them.
                layout = jax.tree.map(lambda a: np.asarray(a)[None], user.layout)
                seen = dataclasses.replace(seen, poses=Pose(layout, user.latent[None], usable=seen.poses.usable))
        self._step("reading", 3, 3)
        left_out = pictures.every * (len(pictures.poses) - len(seen.frames))
        count = None if pictures.count is None else pictures.count - left_out
        more = {"clip": own, "every": pictures.every, "count": count, "rate": pictures.rate or STILL_RATE}
        more["part"] = pictures.photo_part
        reading = Reading(views, where, user, garments, seen.poses, seen.frames, seen.starts, **more)
        notes = *self._notes(reading, pictures), *seen.notes
        return dataclasses.replace(reading, notes=notes, said=(*said, *of_garments))

    def _read_user(self, pictures: Pictures, views: full_size.Views, where: normalisation.Framing) -> User:
        """The person in the photo."""
        user = self.system.read_user(views.person, where.person.shown(self.system.size))
        if pictures.photo_mask is not None:
            own = where.person.bring_mask(pictures.photo_mask, self.system.size)
            labels = outlines.keep(np.asarray(user.layout.segmentation), own)
            user = user.replace(layout=user.layout.replace(segmentation=labels))
        if self.options.background == "inpaint":
            backdrop = backdrops.backdrop(user.image, np.asarray(user.layout.segmentation), np.asarray(user.shown))
            user = user.replace(backdrop=backdrop)
        return user

    def _read_garments(
        self, pictures: Pictures, views: full_size.Views, where: normalisation.Framing
    ) -> tuple[tuple[Garment, ...], list[Said]]:
        """The garments, and what their pictures were taken for.

        Of several garments each has a type of its own: what somebody wears is the half that the others leave.
        """
        kind = None if self.options.garment_type == "auto" else self.options.garment_type
        several, taken = len(pictures.garments) > 1, set()
        if several and kind:
            why = "is the type of a single garment: of several each has its own, what is worn the half that is left."
            raise WrongOption("garment_type", kind, why)
        found, said = {}, []
        flat = [where.garment(index).flat for index in range(len(pictures.garments))]
        if several:
            look = self.system.reader.looks_flat
            flat = [look(frame) if known is None else known for known, frame in zip(flat, views.garments, strict=True)]
        # What lies flat says what it is; of what is worn, the order of the pictures.
        for index in sorted(range(len(flat)), key=lambda i: several and not flat[i]):
            given, frame = pictures.garments[index], views.garments[index]
            bring = where.garment(index).place.bring_mask
            own = {} if given.mask is None else {"mask": bring(given.mask, self.system.size)}  # some know of no masks
            left = next((half for half in ("upper", "lower") if half not in taken), None)
            wanted = left if several and not flat[index] else kind
            there = bring(np.ones(given.picture.shape[:2], bool), self.system.size)
            found[index] = within(self.system.read_garment(frame, wanted, flat[index], **own), there)
            taken.add(kind_of(found[index]))
            said += self._said("garment", given.file, frame, own.get("mask"))
        garments = [found[index] for index in range(len(found))]
        if self.options.tuck != "auto":
            if not getattr(self.system, "tucks", False):
                why = "is not known to the system, which lays clothes its own way."
                raise WrongOption("tuck", self.options.tuck, why)
            garments = [garment.replace(tuck=np.int32(TUCKS.index(self.options.tuck))) for garment in garments]
        worn_together(garments)  # raises
        return tuple(garments), said

    def _said(
        self, part: Literal["person", "garment"], file: str, picture: np.ndarray, mask: np.ndarray | None
    ) -> Iterator[Said]:
        describe = getattr(self.system.reader, "describe", None)
        if describe is not None:
            yield Said(file, part, describe(picture, mask))

    @property
    def _name(self) -> str:
        """The name of the person's file."""
        return Path(self.options.person or "person.png").name

    def _notes(self, reading: Reading, pictures: Pictures) -> Iterator[str]:
        if reading.framing.cut:
            yield f"{self._name} does not show the whole person: what is missing is made up below it"
        if reading.framing.others:
            yield f"{self._name} shows {reading.framing.others + 1} people: the largest is dressed"
        of_arms = f", arm '{self.options.remap}'" if self.options.system == "lab126" else f", {self.options.system}"
        frames = f"{reading.num_frames} frames{of_arms}"
        for given, garment in zip(pictures.garments, reading.garments, strict=True):
            yield f"{given.file}: {'laid flat' if garment.flat else 'worn'}, exchanging '{kind_of(garment)}'; {frames}"
        if not reading.garments:
            yield f"the person's own clothes; {frames}"

    def _framing(self, pictures: Pictures, shot: list[np.ndarray]) -> normalisation.Framing:
        flat = {"auto": None, "flat": True, "person": False}[self.options.garment_is]
        if self.options.framing == "photo":
            garments = [(given.picture, flat) for given in pictures.garments] or [(pictures.photo, False)]
            found = normalisation.find_framing(self.system.reader, pictures.photo, garments, shot)
            return dataclasses.replace(found, person=found.poses) if pictures.clip else found
        return normalisation.Framing(garments=(normalisation.Shown(flat=flat),) * max(1, len(pictures.garments)))

    def _shot_framing(self, shot: list[np.ndarray]) -> normalisation.Normalisation:
        """Where a later shot of the pose clip stands."""
        if self.options.framing == "photo":
            return normalisation.normalisation_of(self.system.reader, shot)[0]
        return normalisation.Normalisation()

    def _views(self, pictures: Pictures, where: normalisation.Framing) -> full_size.Views:
        size = self.system.size
        canvas = size
        if pictures.clip or getattr(self.options, "output_size", None) is not None:
            canvas = full_size.canvas_for(size, self.output_size, pictures.photo.shape[:2])
        garments = [given.picture for given in pictures.garments] or [pictures.photo]
        return full_size.Views(where, pictures.photo, garments, size, canvas)

    # ------------------------------------------------------------------------------------------------------ the results

    def results(self, reading: Reading) -> Iterator[Result]:
        """A result for every pose, as they are made. Raises: Cancelled after `cancel`."""
        total = len(reading.pose_frames)
        self._painted = False
        self._step("try-on", 0, total)
        results, clip = self._shots(reading), reading.clip
        for done, result in enumerate(results if clip is None else person_clips.slim(results, clip), start=1):
            self._step("try-on", done, total)
            self._painted = done == total
            yield result

    def _shots(self, reading: Reading) -> Iterator[Result]:
        """The results, shot by shot: what is known of the frame before says nothing across a cut."""
        users = None if reading.clip is None else reading.clip.users(self.options.background == "inpaint")
        for first, end in itertools.pairwise((*reading.starts, len(reading.pose_frames))):
            poses = jax.tree.map(lambda a, part=slice(first, end): a[part], reading.poses)
            user = reading.user if users is None else itertools.islice(users, end - first)
            yield from self.system.dress(user, reading.garments, poses)

    def clip(
        self,
        reading: Reading,
        frames: Iterable[tuple[np.ndarray, Result]],
        watch: Callable[[int, np.ndarray], None] = lambda number, frame: None,
    ) -> Iterator[np.ndarray]:
        """Frames [h, w, 3] of results, perhaps filtered, and these -> frames of the size that was asked for.

        Args: watch: called with the number of each frame, and the frame float [H, W, 3] as `Views.show` has it.
        """
        wanted, clip = self.output_size, reading.clip
        own = None if clip is None else clip.pictures()
        for number, frame in enumerate(reading.views.show(frames, reading.shown_garments, own, threads=_THREADS)):
            watch(number, frame)
            if wanted:
                frame = framing.fit(frame, wanted)[0]
            elif clip is not None or self.options.output_size is not None:
                frame = framing.fit(reading.views.photo, reading.views.size)[1].restore(frame)
                frame = frame if reading.part is None else reading.part.put_back(frame)
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
    ) -> Written:
        """Makes the clip `output` (.mp4), or of one pose the picture (.png, .jpg), and the contact sheet beside it.

        Files are read first, and nothing is left behind before all is made. The clip is made as a stream: its length
        costs no memory but that of its poses. Args: reading: a corrected one. when_read: called with the reading.
        Raises: UserError where `output` cannot be, and what `read` and `results` raise.
        """
        output = Path(output)
        still = output.suffix.lower() in photo_files.PICTURES
        if not still and output.suffix.lower() != ".mp4":
            raise WrongOption("output", output, "should end in .mp4, or for a single pose in .png or .jpg.")
        if still and reading is None and self.options.output_size is None:
            self.options = dataclasses.replace(self.options, output_size="photo")
        _ = self.output_size  # a size that is none should not wait for the networks
        for path in (output, picture_files.sheet_beside(output)):
            files.require_writable(path, self._files())
        reading = reading or self.read()
        if still and reading.num_frames > 1:
            why = f"is a picture, and there are {reading.num_frames} frames to show: name a clip (.mp4)."
            raise WrongOption("output", output, why)
        when_read(reading)
        chosen = contact_sheet.numbers(len(reading.pose_frames))
        results, frames = {}, {}

        def keep(number: int, frame: np.ndarray) -> None:
            if number % reading.every == 0 and number // reading.every in chosen:
                frames[number // reading.every] = frame

        def seen() -> Iterator[tuple[np.ndarray, Result]]:
            for number, (result, image) in enumerate(self._filtered(reading)):
                if number % reading.every == 0 and number // reading.every in chosen:
                    results[number // reading.every] = result
                yield image, result

        written = map(visualize.to_uint8, self._counted(self.clip(reading, seen(), keep), reading.num_frames))
        if still:
            photo_files.write_image(output, *written)
        else:
            video_files.write_video(output, written, reading.rate)
        sheet = contact_sheet.contact_sheet(reading, {number: (results[number], frames[number]) for number in chosen})
        photo_files.write_image(picture_files.sheet_beside(output), sheet)
        return Written(reading.num_frames, results, picture_files.sheet_beside(output))

    def _files(self) -> list[str]:
        """What is read."""
        options = self.options
        given = [options.person, options.pose, *picture_files.garment_files(options.garment)]
        given += picture_files.mask_files(options.garment_mask)
        return [name for name in given if name]

    def _filtered(self, reading: Reading) -> Iterator[tuple[Result, np.ndarray]]:
        """Every frame's result and its filtered picture; shots are filtered each by itself."""
        filled = in_between.fill(self.results(reading), reading.starts, reading.every)
        made = batching.ahead(itertools.islice(filled, reading.num_frames), _AHEAD)
        ends = [*(reading.every * start for start in reading.starts[1:]), reading.num_frames]
        for first, end in itertools.pairwise((0, *ends)):
            shot = itertools.islice(made, end - first)
            yield from temporal_filters.stream(self.options.temporal_filter, shot, lambda result: result.image)

    def _counted(self, frames: Iterable[np.ndarray], total: int) -> Iterator[np.ndarray]:
        for done, frame in enumerate(frames, start=1):
            yield frame
            if self._painted or done == total:
                self._step("writing", done, total)


def _resolved(options: JobOptions) -> JobOptions:
    """The options without `auto`."""
    auto = {"remap": "post", "framing": "photo"}
    return dataclasses.replace(options, **{name: auto[name] for name in auto if getattr(options, name) == "auto"})
