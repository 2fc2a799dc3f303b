"""Photos and clips: every shape in which people hand them over, and one sentence for what cannot be read."""

import hashlib
import io
import os
import struct
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from vton_jax.core import framing
from vton_jax.media import video_files

av = pytest.importorskip("av")


def _gradient(height=48, width=32):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x // (width - 1), 255 * y // (height - 1), np.full_like(x, 80)], -1).astype(np.uint8)


def _clip(num_frames=12, size=(48, 64)):
    """Frames whose grey level tells their index, with a red top left quarter."""
    frames = np.zeros((num_frames, *size, 3), np.uint8)
    frames[:] = (20 + 16 * np.arange(num_frames))[:, None, None, None]
    frames[:, : size[0] // 2, : size[1] // 2] = (220, 30, 30)
    return frames


def _sentence(error, name):
    text = str(error.value)
    assert name in text
    assert "\n" not in text and 20 < len(text) < 400
    return text


# ------------------------------------------------------------------------------------------------------------ photos


def test_photo_round_trip_and_no_temporary_file(tmp_path):
    image = _gradient()
    video_files.write_image(tmp_path / "new" / "photo.png", image)
    np.testing.assert_array_equal(video_files.read_photo(tmp_path / "new" / "photo.png"), image)
    assert os.listdir(tmp_path / "new") == ["photo.png"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(tmp_path, orientation):
    upright = _gradient()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.jpg", quality=98, subsampling=0, exif=exif)
    read = video_files.read_photo(tmp_path / "a.jpg")
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).mean() < 3


def test_alpha_is_laid_over_white(tmp_path):
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[:, 10:] = (10, 200, 30, 255)
    pixels[:10, :10, 3] = 0
    pixels[10:, :10, 3] = 128
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = video_files.read_photo(tmp_path / "a.png")
    assert tuple(read[2, 2]) == (255, 255, 255)
    assert abs(int(read[15, 2, 0]) - 127) <= 1
    assert tuple(read[2, 15]) == (10, 200, 30)


@pytest.mark.parametrize(
    ("mode", "suffix", "tolerance"),
    [
        ("1", "png", 255),  # dithered
        ("L", "png", 0),
        ("LA", "png", 0),
        ("P", "png", 4),
        ("RGBA", "png", 0),
        ("CMYK", "jpg", 6),
        ("YCbCr", "tif", 2),
        ("I;16", "png", 0),
        ("I", "tif", 0),
        ("F", "tif", 0),
    ],
)
def test_every_mode_becomes_rgb(tmp_path, mode, suffix, tolerance):
    grey = _gradient()[..., 1]
    if mode in ("I;16", "I"):
        image = Image.fromarray(grey.astype(np.uint16) * 257).convert(mode)
    elif mode == "F":
        image = Image.fromarray(grey.astype(np.float32) / 255)
    elif mode == "P":
        image = Image.fromarray(np.repeat(grey[..., None], 3, -1)).quantize(256)
    else:
        image = Image.fromarray(np.repeat(grey[..., None], 3, -1)).convert(mode)
    image.save(tmp_path / f"a.{suffix}")
    read = video_files.read_photo(tmp_path / f"a.{suffix}")
    assert read.dtype == np.uint8 and read.shape == (48, 32, 3)
    assert np.abs(read.astype(int) - grey[..., None]).max() <= tolerance
    assert abs(read.mean() - grey.mean()) < 3


def test_palette_with_transparency(tmp_path):
    indices = np.zeros((20, 20), np.uint8)
    indices[:10] = 1
    image = Image.fromarray(indices).convert("P")
    image.putpalette([200, 0, 0, 0, 0, 200])
    for name in ("a.gif", "a.png"):
        image.save(tmp_path / name, transparency=0)
        read = video_files.read_photo(tmp_path / name)
        assert tuple(read[15, 5]) == (255, 255, 255) and tuple(read[5, 5]) == (0, 0, 200)


def test_huge_photo_is_decoded_at_reduced_size(tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (12000, 9000), (200, 60, 20)).save(tmp_path / "huge.jpg", quality=50, exif=exif)
    read = video_files.read_photo(tmp_path / "huge.jpg", max_side=1024)
    assert read.shape == (1024, 768, 3)
    assert np.abs(read.astype(int) - (200, 60, 20)).max() < 8
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow's own limit does not apply
    for mode in ("L", "RGB", "RGBA", "P", "LA"):
        Image.fromarray(_gradient(300, 200)).convert(mode).save(tmp_path / "huge.png", exif=exif)
        read = video_files.read_photo(tmp_path / "huge.png", max_side=90)
        assert read.shape == (60, 90, 3)
        expected = video_files.read_photo(tmp_path / "huge.png")
        assert np.abs(read.astype(int).mean((0, 1)) - expected.mean((0, 1))).max() < 2
    assert Image.MAX_IMAGE_PIXELS == 1000
    monkeypatch.setattr(video_files, "MAX_PIXELS", 1000)
    with pytest.raises(video_files.MediaError) as error:
        video_files.read_photo(tmp_path / "huge.png")
    assert "save it smaller" in _sentence(error, "huge.png")


def test_bad_photos_get_one_sentence(tmp_path):
    (tmp_path / "text.jpg").write_text("this is not a photo\n" * 20)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder").mkdir()
    buffer = io.BytesIO()
    Image.fromarray(_gradient(400, 300)).save(buffer, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    (tmp_path / "header.jpg").write_bytes(buffer.getvalue()[:10])
    buffer = io.BytesIO()
    Image.fromarray(_gradient(400, 300)).save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    video_files.write_video(tmp_path / "clip.mp4", _clip(3), 10)
    for name, words in {
        "text.jpg": "not a photo",
        "empty.jpg": "empty file",
        "folder": "empty folder",
        "cut.jpg": "cut off",
        "header.jpg": "",
        "cut.png": "cut off",
        "missing.jpg": "does not exist",
        "clip.mp4": "is a clip",
    }.items():
        with pytest.raises(video_files.MediaError) as error:
            video_files.read_photo(tmp_path / name)
        assert words in _sentence(error, name)
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    with pytest.raises(video_files.MediaError, match=r"dot\.png is 1x1 pixels; at least 16x16 are needed"):
        video_files.read_photo(tmp_path / "dot.png")


# ------------------------------------------------------------------------------------------------------------- clips


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(30000, 1001), Fraction(25, 2), Fraction(7, 3), 23.976])
def test_clip_round_trip(tmp_path, rate):
    frames = _clip()
    video_files.write_video(tmp_path / "a.mp4", iter(frames), rate)
    read, read_rate = video_files.read_video(tmp_path / "a.mp4")
    assert read.shape == frames.shape and read.dtype == np.uint8
    assert abs(float(read_rate) - float(rate)) < 1e-3
    assert np.abs(read.astype(int) - frames).mean() < 3  # colours survive: matrix and range are stated and obeyed
    assert video_files.is_video(tmp_path / "a.mp4")
    assert video_files.video_info(tmp_path / "a.mp4") == video_files.VideoInfo(read_rate, (48, 64), 12)
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_written_clip_plays_in_a_browser(tmp_path):
    video_files.write_video(tmp_path / "a.mp4", _clip(4, (31, 45)), 10)
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
    digests = set()
    for name in range(24):
        left = [np.frombuffer(generator.bytes(int(n)), np.uint8) for n in generator.integers(100, 300_000, 200)]
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
    frames = _clip(5)
    video_files.write_video(tmp_path / "a.mp4", frames, 25)
    _rotate_header(tmp_path / "a.mp4", matrix)
    read, _ = video_files.read_video(tmp_path / "a.mp4")
    expected = np.rot90(frames, -clockwise, axes=(1, 2))
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).mean() < 3
    assert video_files.video_info(tmp_path / "a.mp4").size == expected.shape[1:3]


def test_selection_of_frames(tmp_path):
    video_files.write_video(tmp_path / "a.mp4", _clip(12), 25)

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
    with pytest.raises(video_files.MediaError) as error:
        video_files.read_video(tmp_path / "cut.mp4")
    assert f"only {len(decoded)} of 20 frames" in _sentence(error, "cut.mp4")
    assert len(video_files.read_video(tmp_path / "cut.mp4", max_frames=len(decoded))[0]) == len(decoded)
    even, _ = video_files.read_video(tmp_path / "cut.mp4", max_frames=3, select="even", strict=False)
    assert len(even) == 3
    (tmp_path / "index.mp4").write_bytes(data[:100])
    for read in (video_files.read_video, video_files.read_frames, video_files.video_info):
        with pytest.raises(video_files.MediaError) as error:
            read(tmp_path / "index.mp4")
        assert "cut off" in _sentence(error, "index.mp4")


def test_bad_clips_get_one_sentence(tmp_path):
    (tmp_path / "text.mp4").write_text("no clip\n" * 50)
    (tmp_path / "text.txt").write_text("no clip\n" * 50)
    (tmp_path / "text.jpg").write_text("no clip\n" * 50)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for name in ("text.mp4", "text.txt", "text.jpg", "empty.mp4", "folder", "missing.mp4", "sound.mp4"):
        assert not video_files.is_video(tmp_path / name)
        for read in (video_files.read_video, video_files.read_frames):
            with pytest.raises(video_files.MediaError) as error:
                read(tmp_path / name)
            _sentence(error, name)


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
    _write_with(tmp_path / "a.mkv", _clip(9), "libx264", "matroska")
    frames, rate = video_files.read_video(tmp_path / "a.mkv", 3, select="even")
    assert np.abs(frames[:, -4, -4, 0].astype(int) - [20, 84, 148]).max() < 5 and rate == 25


def test_read_frames_of_photo_animation_and_clip(tmp_path):
    frames = _clip(5)
    video_files.write_image(tmp_path / "a.png", frames[0])
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


# ----------------------------------------------------------------------------------------------------------- writing


def test_nothing_half_written(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"the old one")

    def breaking():
        yield from _clip(3)
        raise KeyError("inside the caller")

    with pytest.raises(KeyError):
        video_files.write_video(tmp_path / "a.mp4", breaking(), 25)
    for frames in ([], [np.zeros((20, 20, 3), np.float32)], [np.zeros((20, 20), np.uint8)]):
        with pytest.raises(ValueError):
            video_files.write_video(tmp_path / "a.mp4", frames, 25)
    with pytest.raises(video_files.MediaError, match=r"\.mp4"):
        video_files.write_video(tmp_path / "a.avi", _clip(), 25)
    assert os.listdir(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"the old one"


def test_unwritable_places(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "taken.mp4").mkdir()
    for target in ("file/a.mp4", "taken.mp4"):
        with pytest.raises(video_files.MediaError) as error:
            video_files.write_video(tmp_path / target, _clip(3), 25)
        _sentence(error, target)
    with pytest.raises(video_files.MediaError):
        video_files.write_image(tmp_path / "file" / "a.png", _gradient())
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
            lambda: video_files.write_image(tmp_path / "a.png", noise.reshape(-1, 128, 3)),
        ):
            with pytest.raises(video_files.MediaError, match="cannot be written"):
                write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []


# ----------------------------------------------------------------------------------------------------------- fitting


@pytest.mark.parametrize("source", [(96, 64), (64, 96), (200, 20), (256, 192), (40, 500)])
def test_fit_and_restore(source):
    image = _gradient(*source)
    fitted, placement = framing.fit(image, (128, 96))
    assert fitted.shape == (128, 96, 3) and fitted.dtype == np.uint8
    restored = placement.restore(fitted)
    assert restored.shape == image.shape
    assert np.abs(restored.astype(int) - image).mean() < 12
    points = np.array([[0, 0], [source[1] - 1, source[0] - 1], [3.5, 7.25]], np.float32)
    np.testing.assert_allclose(placement.restore_points(placement.points(points)), points, atol=1e-3)


def test_fit_puts_points_where_it_puts_pixels():
    image = np.zeros((100, 60, 3), np.uint8)
    image[40:44, 20:24] = 255
    fitted, placement = framing.fit(image, (200, 300))
    y, x = np.nonzero(fitted[..., 0] > 127)
    expected = placement.points(np.array([21.5, 41.5]))
    np.testing.assert_allclose([x.mean(), y.mean()], expected, atol=0.05)
    assert placement.scale == 2 and placement.offset == (0, 90)


def test_fit_fills():
    image = np.full((20, 10, 3), (5, 6, 7), np.uint8)
    assert np.unique(framing.fit(image, (20, 20))[0].reshape(-1, 3), axis=0).tolist() == [[5, 6, 7]]
    padded, _ = framing.fit(image, (20, 20), fill=255)
    assert padded[0, 0].tolist() == [255, 255, 255] and padded[0, 10].tolist() == [5, 6, 7]
    labels = np.random.default_rng(0).integers(0, 18, (33, 21)).astype(np.uint8)
    fitted, placement = framing.fit(labels, (64, 64), fill=0, nearest=True)
    assert set(np.unique(fitted)) <= set(range(18))
    np.testing.assert_array_equal(placement.restore(fitted, nearest=True), labels)


# --------------------------------------------------------------------------------------------------------- real data


def test_real_files(test_data):
    photos = sorted((test_data / "tryon" / "person").glob("*.jpg"))
    clips = sorted((test_data / "video").rglob("*.mp4"))
    if not photos or not clips:
        pytest.skip("the test data has no photos or clips")
    for path in photos:
        assert video_files.read_photo(path).ndim == 3
    for path in clips:
        frames, rate = video_files.read_frames(path, max_frames=3, max_side=128)
        assert len(frames) == 3 and max(frames.shape[1:3]) <= 128 and rate > 0
