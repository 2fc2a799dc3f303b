"""Photos: every shape in which people hand them over, and one sentence for what cannot be read."""

import io
import os

import numpy as np
import pytest
from media_samples import clip, gradient, sentence
from PIL import Image

from vton_jax.media import photo_files, video_files
from vton_jax.media.files import MediaError

pytest.importorskip("av")


def test_photo_round_trip_and_no_temporary_file(tmp_path):
    image = gradient()
    photo_files.write_image(tmp_path / "new" / "photo.png", image)
    np.testing.assert_array_equal(photo_files.read_photo(tmp_path / "new" / "photo.png"), image)
    assert os.listdir(tmp_path / "new") == ["photo.png"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(tmp_path, orientation):
    upright = gradient()
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
    read = photo_files.read_photo(tmp_path / "a.jpg")
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).mean() < 3


def test_alpha_is_laid_over_white(tmp_path):
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[:, 10:] = (10, 200, 30, 255)
    pixels[:10, :10, 3] = 0
    pixels[10:, :10, 3] = 128
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = photo_files.read_photo(tmp_path / "a.png")
    assert tuple(read[2, 2]) == (255, 255, 255)
    assert abs(int(read[15, 2, 0]) - 127) <= 1
    assert tuple(read[2, 15]) == (10, 200, 30)


def cut_out(mask):
    return Image.fromarray(np.dstack([np.full((*mask.shape, 3), 250, np.uint8), np.uint8(255 * mask)]))


def test_a_pictures_own_alpha_is_its_mask(tmp_path):
    mask = np.zeros((60, 40), bool)
    mask[10:50, 8:20] = True
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its side
    cut_out(np.rot90(mask)).save(tmp_path / "a.png", exif=exif)
    cut_out(mask).save(tmp_path / "a.webp", lossless=True)
    for name in ("a.png", "a.webp"):
        pixels, read = photo_files.read_cut_out(tmp_path / name)
        np.testing.assert_array_equal(read, mask)
        assert (pixels[~mask] == 255).all() and (pixels[mask] == 250).all()
    _, small = photo_files.read_cut_out(tmp_path / "a.webp", max_side=30)
    np.testing.assert_array_equal(small, mask[::2, ::2])


def test_an_alpha_channel_that_cuts_nothing_out_is_none(tmp_path):
    rounded = np.ones((60, 60), bool)
    rounded[:3, :3] = False
    for mask in (np.ones((60, 60), bool), rounded):
        cut_out(mask).save(tmp_path / "a.png")
        assert photo_files.read_cut_out(tmp_path / "a.png")[1] is None
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    assert photo_files.read_cut_out(tmp_path / "a.png")[1] is None
    cut_out(np.zeros((60, 60), bool)).save(tmp_path / "a.png")
    with pytest.raises(MediaError, match="wholly transparent; save it"):
        photo_files.read_cut_out(tmp_path / "a.png")


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
    grey = gradient()[..., 1]
    if mode in ("I;16", "I"):
        image = Image.fromarray(grey.astype(np.uint16) * 257).convert(mode)
    elif mode == "F":
        image = Image.fromarray(grey.astype(np.float32) / 255)
    elif mode == "P":
        image = Image.fromarray(np.repeat(grey[..., None], 3, -1)).quantize(256)
    else:
        image = Image.fromarray(np.repeat(grey[..., None], 3, -1)).convert(mode)
    image.save(tmp_path / f"a.{suffix}")
    read = photo_files.read_photo(tmp_path / f"a.{suffix}")
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
        read = photo_files.read_photo(tmp_path / name)
        assert tuple(read[15, 5]) == (255, 255, 255) and tuple(read[5, 5]) == (0, 0, 200)


def test_huge_photo_is_decoded_at_reduced_size(tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (12000, 9000), (200, 60, 20)).save(tmp_path / "huge.jpg", quality=50, exif=exif)
    read = photo_files.read_photo(tmp_path / "huge.jpg", max_side=1024)
    assert read.shape == (1024, 768, 3)
    assert np.abs(read.astype(int) - (200, 60, 20)).max() < 8
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow's own limit does not apply
    for mode in ("L", "RGB", "RGBA", "P", "LA"):
        Image.fromarray(gradient(300, 200)).convert(mode).save(tmp_path / "huge.png", exif=exif)
        read = photo_files.read_photo(tmp_path / "huge.png", max_side=90)
        assert read.shape == (60, 90, 3)
        expected = photo_files.read_photo(tmp_path / "huge.png")
        assert np.abs(read.astype(int).mean((0, 1)) - expected.mean((0, 1))).max() < 2
    assert Image.MAX_IMAGE_PIXELS == 1000
    monkeypatch.setattr(photo_files, "MAX_PIXELS", 1000)
    with pytest.raises(MediaError) as error:
        photo_files.read_photo(tmp_path / "huge.png")
    assert "save it smaller" in sentence(error, "huge.png")


def test_bad_photos_get_onesentence(tmp_path):
    (tmp_path / "text.jpg").write_text("this is not a photo\n" * 20)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder").mkdir()
    buffer = io.BytesIO()
    Image.fromarray(gradient(400, 300)).save(buffer, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    (tmp_path / "header.jpg").write_bytes(buffer.getvalue()[:10])
    buffer = io.BytesIO()
    Image.fromarray(gradient(400, 300)).save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    video_files.write_video(tmp_path / "clip.mp4", clip(3), 10)
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
        with pytest.raises(MediaError) as error:
            photo_files.read_photo(tmp_path / name)
        assert words in sentence(error, name)
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    with pytest.raises(MediaError, match=r"dot\.png is 1x1 pixels; at least 16x16 are needed"):
        photo_files.read_photo(tmp_path / "dot.png")
