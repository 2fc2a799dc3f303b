"""Photos in and out.

Conventions: an image is uint8 RGB [H, W, 3]. What is read is upright: EXIF rotation is applied. Every failure that a
user can cause is a `UserError` (of what is read, a `MediaError`): one sentence that names the file and the mend.
"""

import contextlib
import os
import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from vton_jax.core import framing
from vton_jax.core.files import replacing, writing
from vton_jax.media.files import MIN_SIDE, MediaError, existing_file

PICTURES = (".png", ".jpg", ".jpeg")  # that are written
MAX_PIXELS = 500_000_000  # 22,000 x 22,000: a scan, not a decompression bomb
_LEAST_CUT_OUT = 0.02  # of a picture that is transparent, and that is not: less is a rounded corner or a speck
_OPEN_LOCK = threading.Lock()


def read_photo(path: str | os.PathLike, max_side: int = 4096) -> np.ndarray:
    """Reads a photo as uint8 RGB [H, W, 3], upright, alpha laid over white, its longer side at most `max_side`.

    Larger photos are decoded at reduced size where the format can (JPEG). Of an animation, the first frame is read.
    Raises `MediaError`.
    """
    path = existing_file(path)
    with open_image(path) as image:
        return upright_rgb(path, image, max_side)


def read_cut_out(path: str | os.PathLike, max_side: int = 4096) -> tuple[np.ndarray, np.ndarray | None]:
    """`read_photo`, and what its alpha channel shows, bool [H, W]; None where it has none or it cuts nothing out.

    Raises `MediaError`, for a picture that is wholly transparent too.
    """
    path = existing_file(path)
    with open_image(path) as image:
        pixels, alpha = _upright(path, image, max_side)
    if alpha is None:
        return pixels, None
    mask = alpha >= 128
    if not mask.any():
        raise MediaError(f"{path} is wholly transparent; save it with what it should show")
    return pixels, mask if _LEAST_CUT_OUT <= mask.mean() <= 1 - _LEAST_CUT_OUT else None


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes uint8 [H, W, 3] (or [H, W]) as a JPEG file where the name says so, else as PNG, making the folder if need
    be. Raises `UserError`."""
    kind = {"format": "JPEG", "quality": 95} if Path(path).suffix.lower() in PICTURES[1:] else {"format": "PNG"}
    with replacing(path) as temporary, writing(path):
        Image.fromarray(np.ascontiguousarray(image, dtype=np.uint8)).save(temporary, **kind)


def open_image(path: Path) -> Image.Image:
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
        from vton_jax.media.video_files import is_video  # here, since video_files reads photos too

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


def upright_rgb(path: Path, image: Image.Image, max_side: int) -> np.ndarray:
    """An opened image as uint8 RGB [H, W, 3], upright, its longer side at most `max_side`. Raises `MediaError`."""
    return _upright(path, image, max_side)[0]


def _upright(path: Path, image: Image.Image, max_side: int) -> tuple[np.ndarray, np.ndarray | None]:
    """`upright_rgb`, and the alpha channel uint8 [H, W] where there is one."""
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
            pixels, alpha = _to_rgb(image, max_side)
            return _shrink(pixels, max_side), None if alpha is None else _shrink(alpha, max_side)
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


def _to_rgb(image: Image.Image, max_side: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Any Pillow mode -> uint8 RGB [H, W, 3] and alpha [H, W] if it has any; transparent pixels show white."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits a grey pixel; Pillow would clip at 255
        grey = np.asarray(image).astype(np.float32)
        top = grey.max(initial=0.0)
        if image.mode.startswith("I;16") or 255 < top <= 65535:
            full = 65535.0
        else:
            full = 1.0 if top <= 1 and image.mode == "F" else max(255.0, top)
        grey = np.clip(grey * (255.0 / full) + 0.5, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1), None
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        image.thumbnail((max_side, max_side), Image.Resampling.BOX)  # before the float arithmetic; aware of alpha
        pixels = np.asarray(image).astype(np.float32)
        alpha = pixels[..., 3:] / 255.0
        return (pixels[..., :3] * alpha + 255.0 * (1 - alpha) + 0.5).astype(np.uint8), pixels[..., 3].astype(np.uint8)
    return np.array(image.convert("RGB")), None


def _shrink(image: np.ndarray, max_side: int | None) -> np.ndarray:
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    factor = max_side / max(height, width)
    return framing.resize(image, (max(1, round(height * factor)), max(1, round(width * factor))))
