"""From files to a clip: a source, what drives it, and the result with the driving clip's sound.

Conventions: see `protocol.py`.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from vton_jax.core import files, framing
from vton_jax.core.errors import UserError
from vton_jax.media import live, live_run, recording, video_files
from vton_jax.systems.first_order import motion
from vton_jax.systems.first_order.options import DriveOptions
from vton_jax.systems.first_order.protocol import Source
from vton_jax.systems.first_order.system import FirstOrderDriver

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "person.png"
_MOST_SOURCES = 9  # keys 1 to 9
_SEEN_SIDE = 640  # longer side of driving frames that are not shown: more of them fit into memory
_NO_RATE = 25.0  # frames a second of what has none


def _source_names(options: DriveOptions) -> list[str]:
    return [part for part in (options.source or str(SAMPLE)).split(",") if part]


def read_sources(options: DriveOptions) -> list[np.ndarray]:
    """The photos that --source names. Raises: UserError."""
    paths = _source_names(options)
    if not 0 < len(paths) <= _MOST_SOURCES:
        raise UserError(f"--source names {len(paths)} photos; give one to {_MOST_SOURCES}.")
    return [video_files.read_frames(path, 1, options.max_side)[0][0] for path in paths]


def make_driver(options: DriveOptions) -> FirstOrderDriver:
    """The driver that options ask for."""
    return FirstOrderDriver(options.weights, mode=options.motion, region=options.region, paste_back=options.paste_back)


def run(
    options: DriveOptions,
    output: Path,
    say: Callable[[str], None],
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    driver: FirstOrderDriver | None = None,
) -> Path:
    """The whole command on files: reads, drives, writes.

    Args: options: what is asked for. output: the clip. say: gets sentences. progress: gets (stage, done, total), may
    raise `Cancelled`. driver: to use instead of the one that options ask for. Returns: the clip. Raises: UserError,
    and what `progress` raises; then nothing is written.
    """
    if not options.driving:
        raise UserError("Give --driving=CLIP, camera, or a motion (.npz).")
    files.require_writable(output, [options.driving, *_source_names(options)])
    driver = driver or make_driver(options)
    progress("reading", 0, 1)
    sources = read_sources(options)
    if len(sources) > 1:
        raise UserError("Several sources are for live runs, where keys choose among them; give one.")
    source = driver.read(sources[0])
    say(f"driving the {source.region} in the photo")
    frames, motions, rate = _driving(options, driver, source, progress)
    if options.save_motion:
        motion.save(options.save_motion, motions, source.region, rate)
        say(f"wrote {options.save_motion}")
    shown = _shown(driver, source, motions, frames if options.side_by_side else None)
    video_files.write_video(output, _counted(shown, len(motions["points"]), "driving", progress), rate)
    sound = options.driving if frames is not None and recording.has_sound(options.driving) else None
    if not recording.finish(output, sound) and sound is not None:
        say(f"the sound of {options.driving} is lost: an MP4 file cannot hold it as it is")
    return output


def _counted(frames: Iterable[np.ndarray], total: int, stage: str, progress: Callable) -> Iterator[np.ndarray]:
    for done, frame in enumerate(frames):
        progress(stage, done, total)
        yield frame
    progress(stage, total, total)


def _driving(
    options: DriveOptions, driver: FirstOrderDriver, source: Source, progress: Callable
) -> tuple[np.ndarray | None, dict, float]:
    """(frames [T, H, W, 3] where there are any, motions [T, ...], frames a second)."""
    if Path(options.driving).suffix == ".npz":
        motions, region, rate = motion.load(options.driving)
        if region != source.region:
            raise UserError(f"{options.driving} is the motion of a {region}, the photo shows a {source.region}; give "
                            f"--region={region}.")  # fmt: skip
        if options.side_by_side:
            raise UserError("A saved motion has no frames to show beside the result; leave --side_by_side.")
        return None, motions, rate
    side = options.max_side if options.side_by_side else min(options.max_side, _SEEN_SIDE)
    frames, rate = video_files.read_frames(options.driving, None, side)
    seen = _counted(frames, len(frames), "watching the driving clip", progress)
    return frames, driver.motions(seen, source.region), float(rate or _NO_RATE)


def _shown(driver, source: Source, motions: dict, frames: np.ndarray | None) -> Iterator[np.ndarray]:
    for index, result in enumerate(driver.replay(source, motions)):
        yield result if frames is None else beside(frames[index], result)


def beside(frame: np.ndarray, result: np.ndarray) -> np.ndarray:
    """A driving frame beside the result, as high as it."""
    height, width = result.shape[0], max(1, round(frame.shape[1] * result.shape[0] / frame.shape[0]))
    return np.concatenate([framing.resize(frame, (height, width)), result], 1)


# ----------------------------------------------------------------------------------------------------------------- live


class LiveDriver:
    """Drives with a camera's frames. Keys: `x` takes the present frame as reference, `f` searches the best reference
    from now on until it is pressed again, `1` to `9` change the source.

    The box of whoever drives is found in the first frame and whenever `x` is pressed. Args: sources: what to drive.
    """

    def __init__(self, driver: FirstOrderDriver, sources: list[Source], side_by_side: bool = False):
        self.driver, self.sources, self.beside = driver, sources, side_by_side
        self.source, self.box, self.reference, self.scale = sources[0], None, None, 1.0
        self.motions: list[dict] = []  # the driving motion so far, where `keep` is set
        self.keep, self.searching, self._best = False, False, float("inf")

    def key(self, key: str) -> None:
        """Does what a key asks."""
        if key == "x":
            self.box = self.reference = None
        elif key == "f":
            self.searching, self._best = not self.searching, float("inf")
        elif key.isdigit() and 0 < int(key) <= len(self.sources):
            if self.sources[int(key) - 1].region != self.source.region:
                self.box = self.reference = None
            self.source = self.sources[int(key) - 1]
            self._rescale()

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """The source as a frame moves. Raises: NoPersonFound where the first one shows nobody."""
        if self.box is None:
            self.box = self.driver.box_of_clip([frame], self.source.region)
        found = self.driver.detect(frame, self.box, self.source.region)
        if self.keep:
            self.motions.append(found)
        if self.reference is None or (self.searching and self._better(found)):
            self.reference = found
            self._rescale()
        reference = None if self.driver.mode == "absolute" else self.reference
        result = self.driver.render(self.source, self.driver.wanted(self.source, found, reference, self.scale))
        return beside(frame, result) if self.beside else result

    def _better(self, found: dict) -> bool:
        apart = motion.shape_distance(self.driver.own_motion(self.source)["points"], found["points"])
        better, self._best = apart < self._best, min(apart, self._best)
        return better

    def _rescale(self) -> None:
        if self.reference is not None:
            self.scale = motion.scale_between(self.driver.own_motion(self.source), self.reference)


def run_live(options: DriveOptions, output: Path | None, say: Callable[[str], None]) -> live.Timing:
    """A live run: from a camera, or from a clip played as one, to a display, and into a recording that stays intact.

    Raises: UserError.
    """
    if not options.driving or Path(options.driving).suffix == ".npz":
        raise UserError("A live run needs --driving=camera, or a clip with --live.")
    if output is not None:
        files.require_writable(output, [options.driving, *_source_names(options)])
    driver = make_driver(options)
    sources = [driver.read(photo) for photo in read_sources(options)]
    camera = live.open_camera(options.driving)
    lively = LiveDriver(driver, sources, options.side_by_side)
    lively.keep = bool(options.save_motion)
    warm = driver.render(sources[0], driver.own_motion(sources[0]))  # compiled before the first frame comes
    say(f"live: {options.driving}; q ends")
    title = "vton drive: q ends, x reference, f best reference, 1-9 source"
    shown = live_run.Shown(title, options.display, options.virtual_camera, output)
    loop = live.Loop(lively, on_key=lively.key)
    timing = live_run.run(loop, camera, shown, warm.shape[:2], options.seconds)
    if options.save_motion and lively.motions:
        stacked = {name: np.stack([one[name] for one in lively.motions]) for name in lively.motions[0]}
        motion.save(options.save_motion, stacked, lively.source.region, timing.frames_per_second)
    say(timing.line())
    return timing
