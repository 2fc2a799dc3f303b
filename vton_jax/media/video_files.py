"""Photos and clips: the only module that reads and writes pictures and videos.

Alphabet: an image is uint8 RGB [H, W, 3], a clip uint8 RGB [T, H, W, 3]; `size` is (height, width), a frame rate a
`fractions.Fraction` in frames a second. What is read is upright: EXIF rotation and display matrices are applied.
Every failure that a user can cause is a `MediaError`: one sentence that names the file and the mend. Files are
written under a temporary name in the same folder and then renamed, so nothing half-written is ever seen.
"""

import contextlib
import dataclasses
import mimetypes
import os
import tempfile
import threading
import warnings
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from vton_jax.core import framing
from vton_jax.core.errors import UserError

MIN_SIDE = 16
MAX_PIXELS = 500_000_000  # 22,000 x 22,000: a scan, not a decompression bomb
_OPEN_LOCK = threading.Lock()


class MediaError(UserError):
    """A photo or clip that cannot be read or written; the text is one sentence for the user."""


# ------------------------------------------------------------------------------------------------------------ photos


def read_photo(path: str | os.PathLike, max_side: int = 4096) -> np.ndarray:
    """Reads a photo as uint8 RGB [H, W, 3], upright, alpha laid over white, its longer side at most `max_side`.

    Larger photos are decoded at reduced size where the format can (JPEG). Of an animation, the first frame is read.
    Raises `MediaError`.
    """
    path = _existing_file(path)
    with _open_image(path) as image:
        return _upright_rgb(path, image, max_side)


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes uint8 [H, W, 3] (or [H, W]) as a PNG file, making the folder if need be. Raises `MediaError`."""
    with _replacing(path) as temporary, _writing(path):
        Image.fromarray(np.ascontiguousarray(image, dtype=np.uint8)).save(temporary, format="PNG")


def _existing_file(path) -> Path:
    path = Path(path)
    try:
        if path.is_dir():
            kind = "a folder" if any(path.iterdir()) else "an empty folder"
            raise MediaError(f"{path} is {kind}, not a file; name a photo or a clip")
        if not path.exists():
            raise MediaError(f"{path} does not exist; check the spelling of the path")
        if path.is_file() and path.stat().st_size == 0:
            raise MediaError(f"{path} is an empty file; copy or download it again")
    except OSError as error:
        raise MediaError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    return path


def _open_image(path: Path) -> Image.Image:
    """Opens (does not decode) an image, with Pillow's limit of 179 million pixels raised to ours."""
    try:
        with _OPEN_LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            saved, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(path)
            finally:
                Image.MAX_IMAGE_PIXELS = saved
        if image.format == "MPEG":  # Pillow recognizes MPEG clips, but cannot decode them
            raise UnidentifiedImageError
    except UnidentifiedImageError as error:
        if is_video(path):
            raise MediaError(f"{path} is a clip, not a photo; give a photo, such as one frame of it") from error
        raise MediaError(f"{path} is not a photo in a known format; save it as JPEG or PNG") from error
    except PermissionError as error:
        raise MediaError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    except Exception as error:  # format plugins raise all sorts on broken headers
        raise MediaError(f"{path} is a damaged photo; copy or download it again") from error
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise MediaError(f"{path} is {width}x{height} pixels; at least {MIN_SIDE}x{MIN_SIDE} are needed")
    if width * height > MAX_PIXELS:
        raise MediaError(f"{path} is {width}x{height} pixels, more than {MAX_PIXELS:,} in all; save it smaller")
    return image


def _upright_rgb(path: Path, image: Image.Image, max_side: int) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reduced = min(1.0, max_side / max(image.size))
            target = tuple(max(1, round(side * reduced)) for side in image.size)
            image.draft(None, target)  # JPEG: decode at 1/2, 1/4 or 1/8, but not below `target`
            image.load()
            if min(1 / reduced, min(image.size)) >= 2 and image.mode in ("L", "LA", "RGB", "RGBA", "CMYK"):
                image = _reduced(image, target)
            with contextlib.suppress(Exception):  # a broken EXIF block says nothing about the pixels
                ImageOps.exif_transpose(image, in_place=True)
            return _shrink(_to_rgb(image, max_side), max_side)
    except MemoryError as error:
        raise MediaError(f"{path} is too large to decode in this computer's memory; save it smaller") from error
    except Exception as error:
        raise MediaError(f"{path} is damaged or cut off; copy or download it again") from error


def _reduced(image: Image.Image, target: tuple[int, int]) -> Image.Image:
    """Box-reduces by a whole factor, not below `target` (width, height): cheap, before any copy at full size."""
    factor = max(1, min(side // wanted for side, wanted in zip(image.size, target, strict=True)))
    reduced = image.reduce(factor)
    reduced.info = dict(image.info)
    with contextlib.suppress(Exception):  # a broken EXIF block says nothing about the pixels
        reduced.getexif()[ExifTags.Base.Orientation] = image.getexif().get(ExifTags.Base.Orientation, 1)
    return reduced


def _to_rgb(image: Image.Image, max_side: int) -> np.ndarray:
    """Any Pillow mode -> uint8 RGB [H, W, 3]; transparent pixels show white."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits a grey pixel; Pillow would clip at 255
        grey = np.asarray(image).astype(np.float32)
        top = grey.max(initial=0.0)
        if image.mode.startswith("I;16") or 255 < top <= 65535:
            full = 65535.0
        else:
            full = 1.0 if top <= 1 and image.mode == "F" else max(255.0, top)
        grey = np.clip(grey * (255.0 / full) + 0.5, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        image.thumbnail((max_side, max_side), Image.Resampling.BOX)  # before the float arithmetic; aware of alpha
        pixels = np.asarray(image).astype(np.float32)
        alpha = pixels[..., 3:] / 255.0
        return (pixels[..., :3] * alpha + 255.0 * (1 - alpha) + 0.5).astype(np.uint8)
    return np.array(image.convert("RGB"))


def _shrink(image: np.ndarray, max_side: int | None) -> np.ndarray:
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    factor = max_side / max(height, width)
    return framing.resize(image, (max(1, round(height * factor)), max(1, round(width * factor))))


# ------------------------------------------------------------------------------------------------------------- clips


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


def video_info(path: str | os.PathLike) -> VideoInfo:
    """Reads a clip's header and its first frame. Raises `MediaError`."""
    path = _existing_file(path)
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
    path = _existing_file(path)
    with _open_video(path) as (container, stream):
        rate = _frame_rate(stream)
        count = stream.frames
        if select == "even" and max_frames is not None and not count:
            count = sum(1 for packet in container.demux(stream) if packet.size)
    if select == "first" or max_frames is None:
        wanted = None if max_frames is None else range(max_frames)
        return np.stack([frame for _, frame in _decode(path, max_side, strict, wanted)]), rate
    while True:
        wanted = _evenly(count, max_frames)
        decoded = list(_decode(path, max_side, strict, wanted))
        if [index for index, _ in decoded] == list(wanted):
            return np.stack([frame for _, frame in decoded]), rate
        # Headers can promise frames that an edit list drops (or that `strict=False` forgoes): count, then take again.
        count = sum(1 for _ in _decode(path, MIN_SIDE, strict, None))


def iterate_video(path: str | os.PathLike, max_side: int | None = None, strict: bool = True) -> Iterator[np.ndarray]:
    """Yields a clip's frames, uint8 RGB [H, W, 3], all of the first one's size, one in memory at a time.

    Raises `MediaError` as `read_video` does.
    """
    for _, frame in _decode(_existing_file(path), max_side, strict, None):
        yield frame


def read_frames(
    path: str | os.PathLike, max_frames: int | None = None, max_side: int = 1280, select: str = "first"
) -> tuple[np.ndarray, Fraction | None]:
    """Reads whatever can serve as a pose: a clip, an animated GIF, PNG or WebP, or a photo.

    Returns frames uint8 RGB [T, H, W, 3] and the frame rate (an animation's mean rate); a photo is one frame and
    has the frame rate None. Raises `MediaError`.
    """
    path = _existing_file(path)
    named_a_clip = (mimetypes.guess_type(path.name)[0] or "").startswith("video/")
    if named_a_clip or is_video(path):  # a broken clip gets the sentence for clips
        return read_video(path, max_frames, max_side, select)
    try:
        image = _open_image(path)
    except MediaError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            raise MediaError(f"{path} is neither a photo nor a clip that can be read; try JPEG, PNG or MP4") from error
        raise
    with image:
        count = getattr(image, "n_frames", 1)
        if count == 1 or image.format not in ("GIF", "PNG", "WEBP", "AVIF"):
            return _upright_rgb(path, image, max_side)[None], None
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
            frames.append(_upright_rgb(path, frame, max_side))
        return np.stack(frames), Fraction(round(1000 * len(frames)), round(sum(milliseconds))).limit_denominator(1001)


def write_video(path: str | os.PathLike, frames: Iterable[np.ndarray], frame_rate: Fraction | float) -> None:
    """Writes frames, uint8 RGB [H, W, 3] of one size, as an H.264 yuv420p MP4 file that plays in a browser.

    `frames` may be a generator; it is consumed as the file grows. Odd sizes are padded to even ones. The same frames
    give the same bytes (one thread encodes). Raises `MediaError`; whatever is raised, by `frames` too, no part of the
    file stays behind.
    """
    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise MediaError(f"{path} cannot be written, since clips are MP4 files; choose a name that ends in .mp4")
    av = _import_av()
    rate = Fraction(frame_rate).limit_denominator(1001)
    with _replacing(path) as temporary:
        with _writing(path):
            container = av.open(os.path.abspath(temporary), "w", format="mp4", options={"movflags": "+faststart"})
        try:
            stream = None
            for index, image in enumerate(frames):
                image = np.asarray(image)
                if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
                    raise ValueError(f"frame {index} is {image.dtype}{list(image.shape)}, not uint8 [H, W, 3]")
                height, width = image.shape[:2]
                image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
                with _writing(path):
                    if stream is None:
                        stream = _add_h264(container, rate, image.shape[:2])
                    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                    frame = frame.reformat(format="yuv420p", dst_colorspace="itu709")
                    frame.pts, frame.time_base = index, 1 / rate
                    container.mux(stream.encode(frame))
            if stream is None:
                raise MediaError(f"{path} was not written, since there are no frames; check the pose clip's length")
            with _writing(path):
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


@contextlib.contextmanager
def _open_video(path: Path):
    """Yields (container, video stream) of a clip; images and text, which FFmpeg would also play, are refused."""
    av = _import_av()
    unreadable = f"{path} is not a clip, or its index is missing because it was cut off; copy or download it again"
    try:
        # An absolute path, since FFmpeg reads "a:b.mp4" as a protocol named a.
        container = av.open(os.path.abspath(path))
    except (OSError, av.FFmpegError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise MediaError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
        raise MediaError(unreadable) from error
    with container:
        if not container.streams:
            raise MediaError(unreadable)
        name = container.format.name
        streams = [s for s in container.streams.video if not int(s.disposition) & 0x400]  # 0x400: an album's cover
        if not streams or name in ("tty", "image2") or name.endswith("_pipe"):
            raise MediaError(f"{path} has no video stream; give a clip, such as an MP4 file")
        yield container, streams[0]


def _frame_rate(stream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and Fraction(1, 10) <= rate <= 240:  # headers of variable-rate clips may say 90,000
            return Fraction(rate).limit_denominator(1001)
    return Fraction(25)


def _evenly(count: int, max_frames: int) -> list[int]:
    return sorted(set(np.linspace(0, count - 1, min(count, max_frames)).round().astype(int).tolist()))


def _decode(path: Path, max_side: int | None, strict: bool, wanted) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (index, RGB frame) of the wanted frames (None: all), and stops decoding after the last of them."""
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
                yield index, image
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


# ----------------------------------------------------------------------------------------------------------- writing


def require_writable(path: str | os.PathLike) -> None:
    """Finds out before long work whether `path` can be written; makes its folder. Raises: MediaError."""
    path = Path(path)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


@contextlib.contextmanager
def _replacing(path) -> Iterator[Path]:
    """Yields a temporary name beside `path`, renamed to it on success and removed on any exception."""
    path = Path(path)
    with _writing(path):
        if path.is_dir():
            raise MediaError(f"{path} cannot be written, since it is a folder; name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem[:64]}.{os.getpid()}-{threading.get_ident()}{path.suffix}")
    try:
        yield temporary
        with _writing(path):
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def _writing(path):
    """Turns the operating system's and FFmpeg's refusals into a sentence."""
    try:
        yield
    except MediaError:
        raise
    except Exception as error:
        if not isinstance(error, OSError) and not type(error).__module__.startswith("av."):
            raise
        reason = getattr(error, "strerror", None) or "unknown error"
        raise MediaError(
            f"{path} cannot be written ({reason}); check the folder's permissions and the free space, or choose "
            "another output"
        ) from error
