"""What pages and API ask for: files that are checked and decoded, then a job in the queue."""

import dataclasses
import fcntl
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import IO, Any, Literal

from vton_jax.core.errors import UserError, WrongOption
from vton_jax.studio import example, live, shown, try_on, uploads
from vton_jax.studio.jobs import Job, Jobs
from vton_jax.studio.options import StudioOptions
from vton_jax.systems.finet.options import InpaintOptions
from vton_jax.systems.first_order.options import DriveOptions
from vton_jax.systems.mirror.options import MirrorOptions
from vton_jax.systems.options import JobOptions

Files = Mapping[str, Path | Sequence[Path] | None]  # uploads by name
_MIRRORED = tuple(f"garment_{number}" for number in range(1, 10))  # alternatives of the mirror
_OURS = {"jobs": r"[\w-]{22}", "uploads": r"[0-9a-f]{64}|(tmp|mask_)\w{8}"}  # names of what lies in the folders
EXAMPLE = "example"  # the id of the job that is there from the start


class Service:
    """The studio without its pages. Args: options: see `StudioOptions`. systems: stands in for networks in tests."""

    def __init__(self, options: StudioOptions, systems: try_on.Systems | None = None):
        self.options, self.systems = options, systems or try_on.Systems()
        self._temporary = None
        if options.folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="vton_studio_")
        self.folder = Path(options.folder or self._temporary.name).resolve()
        self.uploaded = self.folder / "uploads"
        try:
            self.uploaded.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WrongOption("folder", options.folder, f"cannot be written to: {error.strerror}.") from None
        self._lock = _own(self.folder)
        self.jobs = Jobs(self.folder / "jobs", 60.0 * options.keep_minutes, options.max_waiting)
        if (found := example.packaged()) is not None:
            self.jobs.add_done(EXAMPLE, *found)
        if options.warm:
            self.jobs.when_idle(lambda job: try_on.warm(job, self.systems, options.weights))

    def close(self) -> None:
        self.jobs.close()
        self._lock.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def read(self, asked: Mapping[str, Any], files: Files, masks: Mapping[str, Path] | None = None) -> Job:
        """A job that reads.

        Args: asked: see `try_on.options_of`. files: uploads by `person`, `garment` (two that are worn together as a
        sequence), `pose`; what is missing is the example's. masks: uploads whose alpha channels correct the masks of
        garments, by `shown.GARMENTS`. Raises: UserError.
        """
        with self.jobs.prepared() as job:
            options = self._options(job, asked, files, masks)
            return self.jobs.put(job, lambda job: try_on.read(job, options, self.systems))

    def dress(
        self, asked: Mapping[str, Any], files: Files, seen: Job | None = None, masks: Mapping[str, Path] | None = None
    ) -> Job:
        """A job that dresses.

        Args: asked, files, masks: see `read`. seen: a job that has read these files, perhaps corrected. Raises:
        UserError.
        """
        kept = None if seen is None or masks else seen.kept
        if kept is not None and "reading" in seen.result:
            options = self._changed(kept.options, asked)
            if options is not None:
                job = self.jobs.new()
                try_on.go_on(job, seen, dataclasses.replace(kept, options=options))
                return self.jobs.put(job, lambda job: try_on.dress(job, options, self.systems))
        with self.jobs.prepared() as job:
            options = self._options(job, asked, files, masks)
            return self.jobs.put(job, lambda job: try_on.dress(job, options, self.systems))

    def watch_search(self, seen: Job, frame: int) -> Job:
        """A job that films the backward procedure on one frame. Raises: UserError."""
        if seen.kept is None:
            raise UserError("What was read is gone; dress once more first.")
        kept = seen.kept
        return self.jobs.put(self.jobs.new(), lambda job: try_on.watch_search(job, kept, self.systems, frame))

    def fill_in(self, asked: Mapping[str, Any], files: Files) -> Job:
        """A job that fills in a region. Args: asked: fields of `InpaintOptions`. Raises: UserError."""
        with self.jobs.prepared() as job:
            options = InpaintOptions(**self._decoded(job, files), **asked, weights=self.options.weights)
            return self.jobs.put(job, lambda job: try_on.fill_in(job, options, self.systems))

    def drive(self, asked: Mapping[str, Any], files: Files) -> Job:
        """A job that brings a picture to life.

        Args: asked: fields of `DriveOptions`. files: uploads: `source` (else a packaged one) and `driving_clip`.
        Raises: UserError.
        """
        with self.jobs.prepared() as job:
            found = self._decoded(job, files)
            if "driving_clip" not in found:
                raise UserError("Choose a clip that drives the picture first.")
            found["driving"] = found.pop("driving_clip")
            options = DriveOptions(**found, **asked, weights=self.options.weights)
            return self.jobs.put(job, lambda job: try_on.drive(job, options, self.systems))

    def live(self, kind: Literal["mirror", "drive"], asked: Mapping[str, Any], files: Files) -> Job:
        """A job that lives from a camera's frames, which its `session` takes (`live.Session`).

        Args: kind: whoever is before the camera is dressed, or moves a picture. asked: fields of `MirrorOptions` or
        `DriveOptions`. files: uploads: `garment` (perhaps several, alternatives) or `source`. Raises: UserError.
        """
        with self.jobs.prepared() as job:
            found, weights = self._decoded(job, files, several=_MIRRORED), self.options.weights
            if kind == "mirror":
                prepare = live.mirror(MirrorOptions(**found, **asked, weights=weights), self.systems)
            else:
                prepare = live.driver(DriveOptions(**found, **asked, weights=weights), self.systems)
            job.session = live.Session()
            return self.jobs.put(job, lambda job: live.run(job, job.session, prepare, self.options.live_seconds))

    def _options(
        self, job: Job, asked: Mapping[str, Any], files: Files, masks: Mapping[str, Path] | None
    ) -> JobOptions:
        """What a job is asked for, its files decoded into its folder."""
        decoded = self._decoded(job, files)
        painted = {name: uploads.take(path, f"{name}_mask", job.folder, self.options)
                   for name, path in (masks or {}).items()}  # fmt: skip
        if painted:
            last = max(map(shown.GARMENTS.index, painted))
            decoded["garment_mask"] = tuple(str(painted.get(name, "")) for name in shown.GARMENTS[: last + 1])
        return try_on.options_of(asked, decoded, self.options.max_frames, self.options.weights)

    def _decoded(self, job: Job, files: Files, several: Sequence[str] = shown.GARMENTS) -> dict[str, Any]:
        """Decoded files by name; "none" stays (of a garment). Args: several: how garments are called, in turn."""
        found, asked = {}, []
        for name, given in files.items():
            paths = [given] if isinstance(given, Path) else list(given or ())
            if paths == [Path("none")] and name == "garment":
                found[name] = ("none",)
            elif paths:
                names = several if name == "garment" else (name,)
                if len(paths) > len(names):
                    raise UserError(f"There are {len(paths)} files for the {name}, and {len(names)} can be used.")
                limit = self.options.max_driving_frames if name == "driving_clip" else self.options.max_frames
                asked += [(name, own, path, limit) for own, path in zip(names, paths, strict=False)]
        take = lambda one: str(uploads.take(one[2], one[1], job.folder, self.options, one[3]))  # noqa: E731
        with futures.ThreadPoolExecutor(max(1, len(asked))) as pool:  # each waits for a child process
            for (name, *_), path in zip(asked, pool.map(take, asked), strict=True):
                found[name] = (*found.get(name, ()), path)
        return {name: paths[0] if len(paths) == 1 else paths for name, paths in found.items()}

    def _changed(self, options: JobOptions, asked: Mapping[str, Any]) -> JobOptions | None:
        """The options of a reading with what else is asked of dressing; None where that needs another reading."""
        wanted = try_on.options_of(asked, {}, options.num_frames, options.weights)
        later = ("remap", "layout", "temporal_filter")  # what reading does not depend on
        same = [name for name in (*try_on.CHOSEN, *try_on.BOXES) if name not in later]
        if any(getattr(wanted, name) != getattr(options, name) for name in same):
            return None
        return dataclasses.replace(options, **{name: getattr(wanted, name) for name in later})


def _own(folder: Path) -> IO:
    """Takes a folder for this process, as long as the file that is returned is open, and removes what a studio that was
    killed left there: nobody knows its jobs any more. A folder without a lock was never a studio's: nothing goes.
    Raises: WrongOption where another studio has it, or it cannot be written to.
    """
    path = folder / "studio.lock"
    known = path.exists()
    try:
        lock = open(path, "a")  # noqa: SIM115 - which the service closes
    except OSError as error:
        raise WrongOption("folder", folder, f"cannot be written to: {error.strerror}.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise WrongOption("folder", folder, "is another studio's that is open; name another.") from None
    if not known:
        return lock
    for name, ours in _OURS.items():
        for path in (folder / name).glob("*"):
            if path.is_symlink() or not re.fullmatch(ours, path.name):  # somebody else's
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    return lock
