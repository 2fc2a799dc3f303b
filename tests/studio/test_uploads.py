"""Uploads: what is taken comes out clean, what is not is said in words, and nothing costs more than it may."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from vton_jax.media import photo_files, video_files
from vton_jax.media.files import MediaError
from vton_jax.studio import uploads
from vton_jax.studio.options import Limits

LIMITS = Limits(max_megabytes=1, max_megapixels=1, max_seconds=3, decode_seconds=10)


def picture(path, shape=(40, 30)):
    noise = np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)
    photo_files.write_image(path, noise)
    return noise


def png_that_says(width, height):
    """A PNG whose header promises more than it holds."""
    part = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"\0" * 1000)) + part(b"IEND", b"")
    )


def test_pictures_lose_their_metadata_and_keep_their_pixels(tmp_path):
    noise = picture(tmp_path / "in.png")
    about = Image.Exif()
    about[0x010E] = "somebody's address"
    Image.fromarray(noise).save(tmp_path / "upload", format="PNG", exif=about)
    made = uploads.take(tmp_path / "upload", "person", tmp_path, LIMITS)
    assert made == tmp_path / "person.png" and b"address" not in made.read_bytes()
    assert (photo_files.read_photo(made) == noise).all()
    cut = np.dstack([noise, np.where(np.arange(30) < 15, 255, 0)[None].repeat(40, 0)]).astype(np.uint8)
    Image.fromarray(cut).save(tmp_path / "cut", format="PNG")
    mask = photo_files.read_cut_out(uploads.take(tmp_path / "cut", "garment", tmp_path, LIMITS))[1]
    assert mask[:, :15].all() and not mask[:, 15:].any()


def test_what_a_brush_marked_becomes_white(tmp_path):
    layer = np.zeros((20, 30, 4), np.uint8)
    layer[4, 5] = (255, 0, 0, 120)  # less than a fiftieth, half transparent
    Image.fromarray(layer).save(tmp_path / "layer", format="PNG")
    mask = photo_files.read_photo(uploads.take(tmp_path / "layer", "mask", tmp_path, LIMITS))[..., 0] > 127
    assert mask[4, 5] and mask.sum() == 1


def test_clips_are_cut_to_so_many_frames(tmp_path):
    frames = [np.full((32, 32, 3), 40 * index, np.uint8) for index in range(6)]
    video_files.write_video(tmp_path / "clip.mp4", frames, 10)
    (tmp_path / "clip.mp4").rename(tmp_path / "clip")
    made = uploads.take(tmp_path / "clip", "pose", tmp_path, LIMITS, max_frames=4)
    found, rate = video_files.read_frames(made)
    assert made.name == "pose.mp4" and len(found) == 4 and rate == 10
    with pytest.raises(MediaError, match="file for the person is not a picture"):
        uploads.take(tmp_path / "clip", "person", tmp_path, LIMITS)
    video_files.write_video(tmp_path / "long.mp4", frames, 1)
    with pytest.raises(MediaError, match="file for the pose lasts 6 s, more than 3"):
        uploads.take(tmp_path / "long.mp4", "pose", tmp_path, LIMITS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04" + b"\0" * 500, "is not a picture"),  # a zip that is called .jpg
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "is not a picture"),  # a playlist
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "is not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a picture"),
        (b"\xff\xd8\xff" + b"\x10" * 900, "file for the pose"),  # broken pictures
        (b"\x89PNG\r\n\x1a\n" + b"\x10" * 900, "file for the pose"),
        (b"\0\0\0\x20ftypisom" + b"\x10" * 900, "file for the pose"),
        (b"\x89PNG" + b"\0" * 1_100_000, "larger than 1 MB"),
    ],
)
def test_what_is_no_picture_is_said_in_words(tmp_path, content, words):
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(MediaError, match=words) as error:
        uploads.take(tmp_path / "photo.jpg", "pose", tmp_path, LIMITS)
    assert str(tmp_path) not in str(error.value)  # nobody is told where files lie
    assert not list(tmp_path.glob("pose*"))


@pytest.mark.parametrize("playlist", ["#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
                                      "ffconcat version 1.0\nfile '{}'\n"])  # fmt: skip
def test_what_is_taken_for_a_clip_leads_to_no_other_file(tmp_path, monkeypatch, playlist):
    """Were its first bytes mistaken, the child would not follow it either."""
    video_files.write_video(tmp_path / "secret.mp4", [np.full((32, 32, 3), 90, np.uint8)] * 3, 10)
    (tmp_path / "upload.m3u8").write_text(playlist.format("secret.mp4"))  # by whose name FFmpeg goes as well
    monkeypatch.setattr(uploads, "kind_of", lambda path: "clip")
    with pytest.raises(MediaError, match="file for the pose is not a clip"):
        uploads.take(tmp_path / "upload.m3u8", "pose", tmp_path, LIMITS)
    assert not list(tmp_path.glob("pose*"))


def test_bombs_are_not_unpacked(tmp_path):
    (tmp_path / "bomb").write_bytes(png_that_says(40_000, 40_000))
    with pytest.raises(MediaError, match="pixels, more than"):
        uploads.take(tmp_path / "bomb", "person", tmp_path, LIMITS)
    (tmp_path / "bomb").write_bytes(png_that_says(20_000, 20_000))  # 1.2 GB as RGB
    generous = Limits(max_megapixels=450, decode_megabytes=600, decode_seconds=10)
    with pytest.raises(MediaError, match="file for the person"):
        uploads.take(tmp_path / "bomb", "person", tmp_path, generous)
