"""Clips in and out, and whatever else can serve as a pose.

Conventions: a frame is uint8 RGB [H, W, 3], a clip uint8 RGB [T, H, W, 3]; `size` is (height, width), a frame rate a
`fractions.Fraction` in frames a second. What is read is upright: display matrices are applied. Every failure that a
user can cause is a `UserError` (of what is read, a `MediaError`): one sentence that names the file and the mend.
"""

import contextlib
import dataclasses
import itertools
import mimetypes
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from vton_jax.core import framing
from vton_jax.core.files import replacing, writing
from vton_jax.media.files import MIN_SIDE, MediaError, existing_file
from vton_jax.media.photo_files import open_image, upright_rgb

# What FFmpeg may open a file as, and by what: containers that hold their own frames. Playlists and lists, which it
# would follow to other files and to addresses, are none of them, nor are images and text, which it would play as well.
_OPENED = {
    "format_whitelist": "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,ogg,asf,nut,mxf,dv,gif,yuv4mpegpipe,"
    "h264,hevc,m4v,mjpeg",
    "protocol_whitelist": "file",
}
_LONGEST_GAP = 10.0  # seconds between two frames: beyond it a time stamp is broken


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What a clip's header says: frames a second, (height, width) after rotation, frame count if known."""

    frame_rate: Fraction
    size: tuple[int, int]
    num_frames: int | None


def is_video(path: str | os.PathLike) -> bool:
    """Whether `path` is a file with a video stream, judged by its content. A photo or an animated GIF is not."""
    try:
        with Image.open(path) as image:
            if image.format != "MPEG":
                return False
    except UnidentifiedImageError:
        pass
    except Exception:
        return False
    try:
        with _open_video(Path(path)):
            return True
    except MediaError:
        return False


def is_clip(path: str | os.PathLike) -> bool:
    """Whether `path` is a clip by its content or by its name: a broken one gets the sentence for clips."""
    return (mimetypes.guess_type(Path(path).name)[0] or "").startswith("video/") or is_video(path)


def video_info(path: str | os.PathLike) -> VideoInfo:
    """Reads a clip's header and its first frame. Raises `MediaError`."""
    path = existing_file(path)
    first = next(iterate_video(path))
    with _open_video(path) as (_, stream):
        return VideoInfo(_frame_rate(stream), first.shape[:2], stream.frames or None)


def read_video(
    path: str | os.PathLike,
    max_frames: int | None = None,
    max_side: int | None = None,
    select: str = "first",
    strict: bool = True,
) -> tuple[np.ndarray, Fraction]:
    """Reads a clip as uint8 RGB [T, H, W, 3] and its own frame rate.

    Args:
      path: the file.
      max_frames: at most so many frames; None reads all.
      max_side: frames are shrunk until their longer side is at most this; long clips need it to fit into memory.
      select: which frames when the clip has more: "first" (decodes no further than needed) or "even" (evenly
        spaced, the first and the last among them).
      strict: whether a clip that breaks off before the last wanted frame is an error; if not, what could be decoded
        is returned.

    Raises `MediaError`; of a clip that breaks off it says how many frames were decoded.
    """
    if select not in ("first", "even"):
        raise ValueError(f'select must be "first" or "even", not {select!r}')
    if max_frames is not None and max_frames < 1:
        raise ValueError(f"max_frames must be at least 1, not {max_frames}")
    path = existing_file(path)
    with _open_video(path) as (container, stream):
        rate = _frame_rate(stream)
        count = stream.frames
        if select == "even" and max_frames is not None and not count:
            count = sum(1 for packet in container.demux(stream) if packet.size)
    if select == "first" or max_frames is None:
        wanted = None if max_frames is None else range(max_frames)
        return np.stack([frame for _, _, frame in _decode(path, max_side, strict, wanted)]), rate
    while True:
        wanted = _evenly(count, max_frames)
        decoded = list(_decode(path, max_side, strict, wanted))
        if [index for index, _, _ in decoded] == list(wanted):
            return np.stack([frame for _, _, frame in decoded]), rate
        # Headers can promise frames that an edit list drops (or that `strict=False` forgoes): count, then take again.
        count = sum(1 for _ in _decode(path, MIN_SIDE, strict, None))


def iterate_video(path: str | os.PathLike, max_side: int | None = None, strict: bool = True) -> Iterator[np.ndarray]:
    """Yields a clip's frames, uint8 RGB [H, W, 3], all of the first one's size, one in memory at a time.

    Raises `MediaError` as `read_video` does.
    """
    for _, _, frame in _decode(existing_file(path), max_side, strict, None):
        yield frame


def read_frames(
    path: str | os.PathLike, max_frames: int | None = None, max_side: int = 1280, select: str = "first"
) -> tuple[np.ndarray, Fraction | None]:
    """Reads whatever can serve as a pose: a clip, an animated GIF, PNG or WebP, or a photo.

    Returns frames uint8 RGB [T, H, W, 3] and the frame rate (an animation's mean rate); a photo is one frame and
    has the frame rate None. With `select` "first" frames are resampled by their time stamps, so that what is shown at
    a constant rate moves as it did. Raises `MediaError`.
    """
    path = existing_file(path)
    if is_clip(path):
        if select == "first":
            frames, rate = open_frames(path, max_frames, max_side)
            return np.stack(list(frames)), rate
        return read_video(path, max_frames, max_side, select)
    try:
        image = open_image(path)
    except MediaError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            raise MediaError(f"{path} is neither a photo nor a clip that can be read; try JPEG, PNG or MP4") from error
        raise
    with image:
        count = getattr(image, "n_frames", 1)
        if count == 1 or image.format not in ("GIF", "PNG", "WEBP", "AVIF"):
            return upright_rgb(path, image, max_side)[None], None
        wanted = range(count)
        if max_frames is not None:
            wanted = _evenly(count, max_frames) if select == "even" else range(min(count, max_frames))
        frames, milliseconds = [], []
        for index in wanted:
            try:
                image.seek(index)
                frame = image.copy()
            except Exception as error:
                raise MediaError(
                    f"{path} breaks off after {len(frames)} of {count} frames; copy or download it again"
                ) from error
            milliseconds.append(image.info.get("duration") or 100)  # browsers show 0 as a tenth of a second
            frames.append(upright_rgb(path, frame, max_side))
        rate = Fraction(round(1000 * len(frames)), round(sum(milliseconds))).limit_denominator(1001)
        if select == "first":
            times = np.cumsum([0, *milliseconds[:-1]]) / 1000
            rate = steady_rate(times, rate)
            frames = list(itertools.islice(resampled(zip(times, frames, strict=True), rate), max_frames))
        return np.stack(frames), rate


def steady_rate(times: Iterable[float], stated: Fraction) -> Fraction:
    """The rate of the frames but for pauses, from the seconds at which they appear; the stated one where it agrees.

    The mean over a clip with pauses would drop frames where it moves.
    """
    intervals = np.diff(sorted(times))
    intervals = np.sort(intervals[intervals > 0])
    if not len(intervals):
        return stated
    interval = intervals[intervals <= 2 * intervals[(len(intervals) - 1) // 2]].mean()
    if abs(interval * float(stated) - 1) < 0.01 or not 1 / 240 <= interval <= 10:
        return stated
    return Fraction(1 / interval).limit_denominator(1001)


def resampled(stamped: Iterable[tuple[float | None, np.ndarray]], rate: Fraction | float) -> Iterator[np.ndarray]:
    """Frames with the seconds at which they appear -> frames at a constant rate: some are shown again, some are not.

    A frame may be late or early by half an interval, so that a steady clip stays as it is. Where a stamp is missing,
    goes back, or leaves a gap that no recording has, a frame follows the one before it after one interval.
    """
    interval = 1 / float(rate)
    now, last, shown, current = 0.0, None, 0, None
    for stamp, frame in stamped:
        if current is not None:
            step = interval if stamp is None or last is None else stamp - last
            now += step if 0 <= step <= _LONGEST_GAP else interval
            while (shown + 0.5) * interval < now:
                yield current
                shown += 1
        last, current = stamp, frame
    while current is not None and (shown + 0.5) * interval < now + interval:
        yield current
        shown += 1


def open_frames(
    path: str | os.PathLike, max_frames: int | None = None, max_side: int | None = None
) -> tuple[Iterator[np.ndarray], Fraction]:
    """The first frames of a clip, one in memory at a time, resampled by their time stamps as `read_frames` has them;
    and their rate. Raises `MediaError`, of a clip that breaks off when the frames run out.
    """
    path = existing_file(path)
    with _open_video(path) as (container, stream):
        rate, times = _frame_rate(stream), []
        with contextlib.suppress(OSError, ValueError, _import_av().FFmpegError):  # decoding will say what is wrong
            times += (float(p.pts * p.time_base) for p in container.demux(stream) if p.size and p.pts is not None)
        rate = steady_rate(times, rate)
    stamped = ((time, frame) for _, time, frame in _decode(path, max_side, True, None))
    return itertools.islice(resampled(stamped, rate), max_frames), rate


def write_video(path: str | os.PathLike, frames: Iterable[np.ndarray], frame_rate: Fraction | float) -> None:
    """Writes frames, uint8 RGB [H, W, 3] of one size, as an H.264 yuv420p MP4 file that plays in a browser.

    `frames` may be a generator; it is consumed as the file grows. Odd sizes are padded to even ones. The same frames
    give the same bytes (one thread encodes). Raises `UserError`; whatever is raised, by `frames` too, no part of the
    file stays behind.
    """
    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise MediaError(f"{path} cannot be written, since clips are MP4 files; choose a name that ends in .mp4")
    av = _import_av()
    rate = Fraction(frame_rate).limit_denominator(1001)
    with replacing(path) as temporary:
        with writing(path):
            container = av.open(os.path.abspath(temporary), "w", format="mp4", options={"movflags": "+faststart"})
        try:
            stream = None
            for index, image in enumerate(frames):
                image = np.asarray(image)
                if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
                    raise ValueError(f"frame {index} is {image.dtype}{list(image.shape)}, not uint8 [H, W, 3]")
                height, width = image.shape[:2]
                image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
                with writing(path):
                    if stream is None:
                        stream = _add_h264(container, rate, image.shape[:2])
                    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                    frame = frame.reformat(format="yuv420p", dst_colorspace="itu709")
                    frame.pts, frame.time_base = index, 1 / rate
                    container.mux(stream.encode(frame))
            if stream is None:
                raise MediaError(f"{path} was not written, since there are no frames; check the pose clip's length")
            with writing(path):
                container.mux(stream.encode(None))
                container.close()
        except BaseException:
            with contextlib.suppress(Exception):  # the first failure is the one to report
                container.close()
            raise


def _add_h264(container, rate: Fraction, size: tuple[int, int]):
    # Without the macroblock tree: with it, x264 reads memory that nobody wrote, and the same frames give other bytes
    # now and then (seen at widths of 48, 96 and 192 pixels, by its vector code). Clips grow by 5 to 25%.
    options = {"crf": "16", "preset": "medium", "mbtree": "0"}
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.height, stream.width = size
    stream.pix_fmt = "yuv420p"
    stream.time_base = 1 / rate
    context = stream.codec_context
    context.thread_count = 1
    # BT.709, limited range, and said so: players guess untagged files by their size.
    context.color_primaries = context.color_trc = context.colorspace = 1
    context.color_range = 1
    return stream


def _import_av():
    try:
        import av  # lazily: training machines have no PyAV
    except ImportError as error:
        raise MediaError("clips cannot be read or written, since PyAV is missing; run `pip install av`") from error
    return av


def open_container(path: str | os.PathLike):
    """Opens a clip with PyAV, as one of the containers that hold their own frames. Raises: what PyAV raises."""
    # An absolute path, since FFmpeg reads "a:b.mp4" as a protocol named a.
    return _import_av().open(os.path.abspath(path), options=_OPENED)


@contextlib.contextmanager
def _open_video(path: Path):
    """Yields (container, video stream) of a clip."""
    av = _import_av()
    unreadable = f"{path} is not a clip, or its index is missing because it was cut off; copy or download it again"
    try:
        container = open_container(path)
    except (OSError, av.FFmpegError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise MediaError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
        raise MediaError(unreadable) from error
    with container:
        if not container.streams:
            raise MediaError(unreadable)
        streams = [s for s in container.streams.video if not int(s.disposition) & 0x400]  # 0x400: an album's cover
        if not streams:
            raise MediaError(f"{path} has no video stream; give a clip, such as an MP4 file")
        yield container, streams[0]


def _frame_rate(stream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and Fraction(1, 10) <= rate <= 240:  # headers of variable-rate clips may say 90,000
            return Fraction(rate).limit_denominator(1001)
    return Fraction(25)


def _evenly(count: int, max_frames: int) -> list[int]:
    return sorted(set(np.linspace(0, count - 1, min(count, max_frames)).round().astype(int).tolist()))


def _decode(path: Path, max_side: int | None, strict: bool, wanted) -> Iterator[tuple[int, float | None, np.ndarray]]:
    """Yields (index, seconds, RGB frame) of the wanted frames (None: all), and decodes no further than the last."""
    av = _import_av()
    index, size = -1, None
    with _open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        for index, frame in enumerate(_raw_frames(av, container, stream)):
            if frame is None:  # it breaks off here
                break
            if wanted is None or index in wanted:
                image = _frame_to_rgb(stream, frame, max_side)
                if size is None:
                    size = image.shape[:2]
                    if min(size) < MIN_SIDE and max_side != MIN_SIDE:
                        raise MediaError(
                            f"{path} is {size[1]}x{size[0]} pixels; at least {MIN_SIDE}x{MIN_SIDE} are needed"
                        )
                elif image.shape[:2] != size:
                    image, _ = framing.fit(image, size)
                # Not `frame.time`: frames that the decoder gives up at the end have no time base.
                yield index, None if frame.pts is None else float(frame.pts * stream.time_base), image
            if wanted is not None and index >= wanted[-1]:
                return
        else:
            if index >= 0:
                return
            index, frame = 0, None
        stated = f" of {stream.frames}" if stream.frames else ""
    if index == 0:
        raise MediaError(f"{path} is damaged: none{stated} of its frames can be decoded; copy or download it again")
    if strict:
        raise MediaError(
            f"{path} is damaged or cut off: only {index}{stated} frames can be decoded; copy or download it again, "
            f"or ask for at most {index} frames"
        )


def _raw_frames(av, container, stream):
    """Yields a stream's decoded frames and, where it breaks off, a final None."""
    packets, broken = 0, False
    demuxer = container.demux(stream)
    while True:
        try:
            packet = next(demuxer, None)
            if packet is None or packet.size == 0:
                break
            # A cut through the middle of a frame leaves a corrupt packet at the end; amid a recording it is a hiccup.
            broken = packet.is_corrupt
            packets += 1
            frames = [] if broken else packet.decode()
        except (OSError, ValueError, av.FFmpegError):
            broken = True
            break
        yield from frames
    # What the decoder's threads still hold; when it has just failed, this may fail again and says nothing new.
    with contextlib.suppress(OSError, ValueError, av.FFmpegError):
        yield from stream.decode(None)
    if broken or packets < stream.frames:
        yield None


def _frame_to_rgb(stream, frame, max_side: int | None) -> np.ndarray:
    """A decoded frame as uint8 RGB, with square pixels, upright, shrunk to `max_side`."""
    height, width = frame.height, frame.width
    aspect = stream.sample_aspect_ratio
    if aspect and aspect > 0 and aspect != 1:
        width = max(1, round(width * min(max(float(aspect), 0.1), 10.0)))
    if max_side is not None and max(height, width) > max_side:
        factor = max_side / max(height, width)
        height, width = max(1, round(height * factor)), max(1, round(width * factor))
    image = frame.to_ndarray(format="rgb24")
    if image.shape[:2] != (height, width):
        image = framing.resize(image, (height, width))
    # FFmpeg states by how many degrees, counterclockwise, the frame must be turned for display.
    return np.ascontiguousarray(np.rot90(image, k=round(frame.rotation / 90) % 4))
