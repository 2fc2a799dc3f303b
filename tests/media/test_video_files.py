"""Clips: every shape in which people hand them over, one sentence for what cannot be read, nothing half-written."""

import hashlib
import os
import struct
from fractions import Fraction

import numpy as np
import pytest
from media_samples import clip, gradient, sentence
from PIL import Image

from vton_jax.core.errors import UserError
from vton_jax.media import photo_files, video_files
from vton_jax.media.files import MediaError

av = pytest.importorskip("av")


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(30000, 1001), Fraction(25, 2), Fraction(7, 3), 23.976])
def test_clip_round_trip(tmp_path, rate):
    frames = clip()
    video_files.write_video(tmp_path / "a.mp4", iter(frames), rate)
    read, read_rate = video_files.read_video(tmp_path / "a.mp4")
    assert read.shape == frames.shape and read.dtype == np.uint8
    assert abs(float(read_rate) - float(rate)) < 1e-3
    assert np.abs(read.astype(int) - frames).mean() < 3  # colours survive: matrix and range are stated and obeyed
    assert video_files.is_video(tmp_path / "a.mp4")
    assert video_files.video_info(tmp_path / "a.mp4") == video_files.VideoInfo(read_rate, (48, 64), 12)
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_written_clip_plays_in_a_browser(tmp_path):
    video_files.write_video(tmp_path / "a.mp4", clip(4, (31, 45)), 10)
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.height, context.width) == ("h264", "yuv420p", 32, 46)
        assert (context.colorspace, context.color_range) == (1, 1)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("size", [(64, 48), (256, 192)])
def test_same_frames_same_bytes(tmp_path, size):
    """Whatever other work left in the memory that the encoder is given."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    waves = [np.sin((x + 2 * k) / 9 + np.sin(y / 13 + k / 5)) for k in range(12)]
    frames = np.repeat(np.uint8(127 + 120 * np.stack(waves))[..., None], 3, -1)
    digests, noise = set(), np.frombuffer(generator.bytes(600_000), np.uint8)
    for name in range(24):
        left = [noise[int(n) :][: int(n)].copy() for n in generator.integers(100, 300_000, 200)]
        kept = left[::7]
        del left
        video_files.write_video(tmp_path / f"{name}.mp4", frames, 4)
        digests.add(hashlib.sha256((tmp_path / f"{name}.mp4").read_bytes()).hexdigest())
        del kept
    assert len(digests) == 1


def _rotate_header(path, matrix):
    """Rewrites the 3x3 display matrix of the track header, as phones do."""
    data = bytearray(path.read_bytes())
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = data.index(identity, data.index(b"tkhd"))
    a, b, c, d = matrix
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("matrix", "clockwise"), [((0, 1, -1, 0), 1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 3), ((1, 0, 0, 1), 0)]
)
def test_rotation_metadata(tmp_path, matrix, clockwise):
    frames = clip(5)
    video_files.write_video(tmp_path / "a.mp4", frames, 25)
    _rotate_header(tmp_path / "a.mp4", matrix)
    read, _ = video_files.read_video(tmp_path / "a.mp4")
    expected = np.rot90(frames, -clockwise, axes=(1, 2))
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).mean() < 3
    assert video_files.video_info(tmp_path / "a.mp4").size == expected.shape[1:3]


def test_selection_of_frames(tmp_path):
    video_files.write_video(tmp_path / "a.mp4", clip(12), 25)

    def indices(frames):
        return np.round((frames[:, -4, -4, 0].astype(int) - 20) / 16).astype(int).tolist()

    assert indices(video_files.read_video(tmp_path / "a.mp4", 3)[0]) == [0, 1, 2]
    assert indices(video_files.read_video(tmp_path / "a.mp4", 4, select="even")[0]) == [0, 4, 7, 11]
    assert indices(video_files.read_video(tmp_path / "a.mp4", 99, select="even")[0]) == list(range(12))
    assert video_files.read_video(tmp_path / "a.mp4", 2, max_side=32)[0].shape == (2, 24, 32, 3)
    assert len(list(video_files.iterate_video(tmp_path / "a.mp4"))) == 12


def test_a_cut_clip_says_how_many_frames_it_has(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), np.uint8)
    video_files.write_video(tmp_path / "whole.mp4", noise, 25)
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    decoded, _ = video_files.read_video(tmp_path / "cut.mp4", strict=False)
    assert 1 <= len(decoded) < 20
    with pytest.raises(MediaError) as error:
        video_files.read_video(tmp_path / "cut.mp4")
    assert f"only {len(decoded)} of 20 frames" in sentence(error, "cut.mp4")
    assert len(video_files.read_video(tmp_path / "cut.mp4", max_frames=len(decoded))[0]) == len(decoded)
    even, _ = video_files.read_video(tmp_path / "cut.mp4", max_frames=3, select="even", strict=False)
    assert len(even) == 3
    (tmp_path / "index.mp4").write_bytes(data[:100])
    for read in (video_files.read_video, video_files.read_frames, video_files.video_info):
        with pytest.raises(MediaError) as error:
            read(tmp_path / "index.mp4")
        assert "cut off" in sentence(error, "index.mp4")


def test_bad_clips_get_onesentence(tmp_path):
    (tmp_path / "text.mp4").write_text("no clip\n" * 50)
    (tmp_path / "text.txt").write_text("no clip\n" * 50)
    (tmp_path / "text.jpg").write_text("no clip\n" * 50)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile whole.mp4\n")  # of another file
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nwhole.mp4\n#EXT-X-ENDLIST\n")
    video_files.write_video(tmp_path / "whole.mp4", np.zeros((3, 32, 32, 3), np.uint8), 10)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    texts = ("text.mp4", "text.txt", "text.jpg", "list.mp4", "list.m3u8")
    for name in (*texts, "empty.mp4", "folder", "missing.mp4", "sound.mp4"):
        assert not video_files.is_video(tmp_path / name)
        for read in (video_files.read_video, video_files.read_frames):
            with pytest.raises(MediaError) as error:
                read(tmp_path / name)
            sentence(error, name)


def _write_with(path, frames, codec, container_format):
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def test_clip_of_changing_size_keeps_the_first(tmp_path):
    for name, size in (("a.ts", (48, 64)), ("b.ts", (64, 32))):
        _write_with(
            tmp_path / name, np.random.default_rng(0).integers(0, 255, (12, *size, 3), np.uint8), "mpeg2video", "mpegts"
        )
    (tmp_path / "c.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    read, _ = video_files.read_video(tmp_path / "c.ts")
    assert read.shape[1:] == (48, 64, 3) and len(read) > 20


def test_clip_whose_header_has_no_frame_count(tmp_path):
    _write_with(tmp_path / "a.mkv", clip(9), "libx264", "matroska")
    frames, rate = video_files.read_video(tmp_path / "a.mkv", 3, select="even")
    assert np.abs(frames[:, -4, -4, 0].astype(int) - [20, 84, 148]).max() < 5 and rate == 25


def test_read_frames_of_photo_animation_andclip(tmp_path):
    frames = clip(5)
    photo_files.write_image(tmp_path / "a.png", frames[0])
    read, rate = video_files.read_frames(tmp_path / "a.png", 48)
    assert read.shape == (1, 48, 64, 3) and rate is None
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=80)
    read, rate = video_files.read_frames(tmp_path / "a.gif", 4)
    assert read.shape == (4, 48, 64, 3) and rate == Fraction(25, 2)
    assert np.abs(read.astype(int) - frames[:4]).mean() < 4
    assert not video_files.is_video(tmp_path / "a.gif")
    video_files.write_video(tmp_path / "a.mp4", frames, 25)
    assert video_files.read_frames(tmp_path / "a.mp4", 3)[0].shape == (3, 48, 64, 3)


def test_nothing_half_written(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"the old one")

    def breaking():
        yield from clip(3)
        raise KeyError("inside the caller")

    with pytest.raises(KeyError):
        video_files.write_video(tmp_path / "a.mp4", breaking(), 25)
    for frames in ([], [np.zeros((20, 20, 3), np.float32)], [np.zeros((20, 20), np.uint8)]):
        with pytest.raises(ValueError):
            video_files.write_video(tmp_path / "a.mp4", frames, 25)
    with pytest.raises(MediaError, match=r"\.mp4"):
        video_files.write_video(tmp_path / "a.avi", clip(), 25)
    assert os.listdir(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"the old one"


def test_unwritable_places(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "taken.mp4").mkdir()
    for target in ("file/a.mp4", "taken.mp4"):
        with pytest.raises(UserError) as error:
            video_files.write_video(tmp_path / target, clip(3), 25)
        sentence(error, target)
    with pytest.raises(UserError):
        photo_files.write_image(tmp_path / "file" / "a.png", gradient())
    assert sorted(os.listdir(tmp_path)) == ["file", "taken.mp4"]


def test_full_disk(tmp_path):
    """A limit on the size of files fails as a full disk does: in the middle of writing."""
    resource = pytest.importorskip("resource")
    noise = np.random.default_rng(0).integers(0, 255, (12, 128, 128, 3), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        for write in (
            lambda: video_files.write_video(tmp_path / "a.mp4", noise, 25),
            lambda: photo_files.write_image(tmp_path / "a.png", noise.reshape(-1, 128, 3)),
        ):
            with pytest.raises(UserError, match="cannot be written"):
                write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []


def test_real_files(test_data):
    photos = sorted((test_data / "tryon" / "person").glob("*.jpg"))
    clips = sorted((test_data / "video").rglob("*.mp4"))
    if not photos or not clips:
        pytest.skip("the test data has no photos or clips")
    for path in photos:
        assert photo_files.read_photo(path).ndim == 3
    for path in clips:
        frames, rate = video_files.read_frames(path, max_frames=3, max_side=128)
        assert len(frames) == 3 and max(frames.shape[1:3]) <= 128 and rate > 0


def write_stamped(path, frames, milliseconds):
    """A clip whose frames appear at the given times, as phones and screen recorders write them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000, options={"crf": "10", "bf": "0"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for image, time in zip(frames, milliseconds, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def shown(frames):
    return np.round((frames[:, -4, -4, 0].astype(int) - 20) / 16).astype(int).tolist()


def test_a_clip_of_variable_rate_is_resampled_by_its_time_stamps(tmp_path):
    """Frames at a tenth of a second each and one that stays for half a second, which is read as it is."""
    path = tmp_path / "phone.mp4"
    write_stamped(path, clip(6), [0, 100, 200, 300, 400, 900])
    frames, rate = video_files.read_frames(path)
    assert rate == 10 and shown(frames) == [0, 1, 2, 3, 4, 4, 4, 4, 4, 5]
    assert shown(video_files.read_frames(path, 3)[0]) == [0, 1, 2]
    assert len(video_files.read_video(path)[0]) == 6  # who counts frames gets all of them


def test_a_steady_clip_stays_as_it_is(tmp_path):
    """With stamps rounded to milliseconds, early and late by less than half an interval too."""
    jitter = [0, 9, -12, 14, -3, 8, -15, 2, 11, -9, 4, 0]
    write_stamped(tmp_path / "a.mp4", clip(12), [round(i * 1000 / 30) + j for i, j in enumerate(jitter)])
    assert shown(video_files.read_frames(tmp_path / "a.mp4")[0]) == list(range(12))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 0.1, 0.2], [0, 1, 2]),
        ([5, 5.1, 5.4], [0, 1, 1, 1, 2]),  # a clip may begin anywhere
        ([0, 0.01, 0.02, 0.3], [2, 2, 2, 3]),  # a burst
        ([0, None, None], [0, 1, 2]),
        ([0, 0.1, 0.05, 0.15], [0, 1, 2, 3]),  # a stamp that goes back
        ([0, 0.1, 90000, 90000.1], [0, 1, 2, 3]),
        ([], []),
    ],
)
def test_resampling(times, expected):
    assert list(video_files.resampled(((time, i) for i, time in enumerate(times)), 10)) == expected


def test_an_animation_keeps_its_pace(tmp_path):
    images = [Image.fromarray(frame) for frame in clip(3)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=[100, 400, 100])
    frames, rate = video_files.read_frames(tmp_path / "a.gif")
    assert rate == 10 and shown(frames) == [0, 1, 1, 1, 1, 2]
