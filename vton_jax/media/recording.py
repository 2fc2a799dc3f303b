"""Recordings that stay intact when the program is killed, sound taken over, and the tag of generated clips.

Conventions: frames are uint8 RGB [H, W, 3] of one size.
"""

import contextlib
import os
from fractions import Fraction
from pathlib import Path

import numpy as np

from vton_jax.core.errors import UserError
from vton_jax.core.files import replacing, writing
from vton_jax.media import video_files
from vton_jax.media.files import MediaError, existing_file

GENERATED = "generated: made by vton-jax, not filmed"  # the tag `comment` of clips that show what never was
_TICKS = 1000  # a second


class Recording:
    """An MP4 file that grows in whole fragments of about a second: killed at any time, it plays up to the last one.

    Frames carry their own times, so that a live loop's uneven steps are kept. Use it in a `with`. Raises: UserError
    where it cannot be written.
    """

    def __init__(self, path: str | os.PathLike, rate: float = 25.0):
        self._path, self._rate, self._last, self._fragment = Path(path), rate, -1, None
        if self._path.suffix.lower() != ".mp4":
            raise MediaError(f"{path} cannot be written, since clips are MP4 files; choose a name that ends in .mp4")
        self._av = video_files._import_av()
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            options = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
            self._container = self._av.open(os.path.abspath(self._path), "w", format="mp4", options=options)
        self._container.metadata["comment"] = GENERATED
        self._stream = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Ends the file. Raises: UserError where it cannot be written."""
        with contextlib.suppress(self._av.FFmpegError) if self._stream is None else writing(self._path):
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()

    def add(self, frame: np.ndarray, seconds: float) -> None:
        """A frame that is shown from `seconds` after the first on. Raises: UserError where it cannot be written."""
        height, width = frame.shape[:2]
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        with writing(self._path):
            if self._stream is None:
                self._stream = self._open(frame.shape[:2])
            picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace="itu709")
            self._last = max(self._last + 1, round(seconds * _TICKS))
            picture.pts, picture.time_base = self._last, Fraction(1, _TICKS)
            if self._fragment is None or self._last - self._fragment >= _TICKS:  # frames may come slowly
                picture.pict_type, self._fragment = self._av.video.frame.PictureType.I, self._last
            self._container.mux(self._stream.encode(picture))

    def _open(self, size: tuple[int, int]):
        rate = Fraction(self._rate).limit_denominator(1001)
        # No look-ahead and no reordered frames: a picture is in the file soon after it was shown.
        options = {"crf": "18", "preset": "veryfast", "tune": "zerolatency", "forced-idr": "1",
                   "g": str(max(1, round(self._rate)))}  # fmt: skip
        stream = self._container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = size
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, _TICKS)
        context = stream.codec_context
        context.time_base, context.thread_count = Fraction(1, _TICKS), 1
        context.color_primaries = context.color_trc = context.colorspace = 1
        context.color_range = 1
        return stream


def finish(path: str | os.PathLike, sound_of: str | os.PathLike | None = None) -> bool:
    """Tags a written clip as generated, and gives it the sound of another clip, where that has some.

    Streams are copied as they are. Returns: whether there was sound, and it was kept. Raises: UserError.
    """
    path, kept = existing_file(path), False
    if sound_of is not None and has_sound(sound_of):
        with contextlib.suppress(UserError, ValueError, OSError, video_files._import_av().FFmpegError):
            kept = _copied(path, sound_of)  # fails where an MP4 file cannot hold such a track
    return kept or _copied(path, None)


def has_sound(path: str | os.PathLike) -> bool:
    """Whether a clip has a sound track."""
    av = video_files._import_av()
    try:
        with av.open(os.path.abspath(path)) as container:
            return bool(container.streams.audio)
    except (OSError, av.FFmpegError, ValueError):
        return False


def _copied(path: Path, sound_of: str | os.PathLike | None) -> bool:
    """Copies a clip in place, with its tag, and perhaps with another one's sound; whether there is sound."""
    av = video_files._import_av()
    with replacing(path) as temporary, contextlib.ExitStack() as stack:
        pictures = stack.enter_context(av.open(os.path.abspath(path)))
        sound = None if sound_of is None else stack.enter_context(av.open(os.path.abspath(sound_of)))
        tracks = [] if sound is None else list(sound.streams.audio)[:1]
        out = stack.enter_context(av.open(os.path.abspath(temporary), "w", options={"movflags": "+faststart"}))
        out.metadata["comment"] = GENERATED
        video = pictures.streams.video[0]
        pairs = [(pictures, video, out.add_stream_from_template(video))]
        pairs += [(sound, track, out.add_stream_from_template(track)) for track in tracks]
        end = float(video.duration * video.time_base) if video.duration else float("inf")
        for container, stream, target in pairs:
            for packet in container.demux(stream):
                if packet.dts is None or (stream is not video and float(packet.pts * packet.time_base) > end):
                    continue
                packet.stream = target
                out.mux(packet)
    return bool(tracks)


def comment_of(path: str | os.PathLike) -> str:
    """The tag `comment` of a clip, '' without one."""
    av = video_files._import_av()
    with av.open(os.path.abspath(path)) as container:
        return container.metadata.get("comment", "")
