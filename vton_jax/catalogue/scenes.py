"""Where somebody stands and how the photo is taken: light, ground, framing, and what cameras add.

Conventions: grounds are float32 RGB [H, W, 3] in [0, 1] as screens show them; everything is a function of its arguments
and a generator. Nothing here changes where a person's pixels lie: `finish` blurs, but moves nothing.
"""

import colorsys
import dataclasses
from pathlib import Path

import cv2
import numpy as np

from vton_jax.catalogue import camera as cameras
from vton_jax.catalogue import textures
from vton_jax.catalogue.camera import Camera
from vton_jax.catalogue.pictures import Light
from vton_jax.core import listings

GROUNDS = ("studio", "room", "street")


@dataclasses.dataclass(frozen=True)
class Ranges:
    """What scenes are drawn from. By eye."""

    whole: float = 0.6  # of the pictures show the whole person
    whole_fraction: tuple[float, float] = (0.7, 0.92)  # of the picture's height that a whole person fills
    cropped: tuple[float, float] = (1.1, 2.6)  # and that one fills of whom the picture ends above the feet
    headroom: tuple[float, float] = (0.03, 0.12)  # of the picture's height, above a head
    aside: float = 0.08  # of its width, deviation from the middle
    distance: tuple[float, float] = (25.0, 70.0)  # decimetres
    height: tuple[float, float] = (6.0, 16.0)
    grounds: tuple[float, ...] = (0.35, 0.3, 0.35)  # of `GROUNDS`
    photos: float = 0.75  # of the grounds are photos, where there are any
    blur: tuple[float, float] = (-1.2, 0.7)  # pixels at a height of 256; below 0: sharpened by so much
    noise: tuple[float, float] = (0.0, 0.02)
    jpeg: tuple[int, int] = (55, 96)


RANGES = Ranges()


class Grounds:
    """Pictures of places without people: a folder's JPEG and PNG files, those of one split.

    In the order of their names every tenth is for `validation`, the next one for `test`. Raises: ValueError for a
    folder with fewer than ten, and for an unknown split.
    """

    def __init__(self, folder: str | Path, split: str = "train"):
        self.paths = listings.files_in(folder, suffixes=(".jpg", ".jpeg", ".png"))
        if len(self.paths) < 10:
            raise ValueError(f"{folder} holds {len(self.paths)} pictures (JPEG or PNG); give at least 10")
        place = {"train": range(2, 10), "validation": (0,), "test": (1,)}
        if split not in place:
            raise ValueError(f"there is no split {split!r}, but {', '.join(place)}")
        own = (path for number, path in enumerate(self.paths) if number % 10 in place[split])
        self._files = [np.frombuffer(path.read_bytes(), np.uint8) for path in own]

    def sample(self, generator: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
        """A place, as `ground` gives one: a picture or a cutting of it, either way round."""
        code = self._files[generator.integers(len(self._files))]
        picture = cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1]
        whole = picture.shape[:2]
        scale = max(size[0] / whole[0], size[1] / whole[1])
        scale *= 1.0 if generator.random() < 0.5 else generator.uniform(1.0, 2.5)
        cut = np.minimum(np.rint(np.array(size) / scale).astype(int), whole)
        top, left = (int(generator.integers(side - part + 1)) for side, part in zip(whole, cut, strict=True))
        shown = picture[top : top + cut[0], left : left + cut[1]]
        shown = shown[:, ::-1] if generator.random() < 0.5 else shown
        shown = cv2.resize(np.ascontiguousarray(shown), size[::-1], interpolation=cv2.INTER_AREA)
        return shown.astype(np.float32) / 255


def sample_light(generator: np.random.Generator) -> Light:
    """From hard sun to an even sky, from any side, warm or cold."""
    side, up = generator.uniform(-0.9, 0.9), generator.uniform(0.35, 0.9)
    hardness, warmth = generator.uniform(0.2, 0.95), generator.normal(0, 0.05)
    key = hardness * np.array([1 + warmth, 1.0, 1 - warmth])
    ambient = (1.25 - hardness) * 0.75 * np.array([1 - 0.5 * warmth, 1.0, 1 + 0.5 * warmth])
    return Light((float(side), float(up), float(generator.uniform(0.3, 0.9))), tuple(key), tuple(ambient))


def sample_camera(
    generator: np.random.Generator, size: tuple[int, int], tall: float, closest: float = np.inf
) -> Camera:
    """Whole people and cropped ones: the head is always in the picture.

    Args: tall: of the person, in decimetres. closest: the largest part of the picture's height that they fill.
    """
    r = RANGES
    whole = generator.random() < r.whole
    fraction = min(float(generator.uniform(*(r.whole_fraction if whole else r.cropped))), closest)
    distance, height = float(generator.uniform(*r.distance)), float(generator.uniform(*r.height))
    eye = cameras.frame(size, tall, fraction=fraction, distance=distance, height=height)
    top = eye.project(np.array([0.0, 1.02 * tall, 0.0]))[1]
    room = (1 - fraction) / 2 if whole else float(generator.uniform(*r.headroom))
    aside = float(np.clip(generator.normal(0, r.aside), -0.15, 0.15)) * size[1]
    return dataclasses.replace(eye, middle=(eye.middle[0] + aside, eye.middle[1] + room * size[0] - top))


def _colour(generator: np.random.Generator, most: float = 0.5) -> np.ndarray:
    """A colour [3] as walls have it: seldom strong."""
    saturation, value = most * generator.beta(1, 3), generator.uniform(0.25, 0.97)
    return np.float32(colorsys.hsv_to_rgb(generator.random(), saturation, value))


def ground(generator: np.random.Generator, kind: str, camera: Camera, size: tuple[int, int]) -> np.ndarray:
    """What is behind somebody, [H, W, 3]. Args: kind: one of `GROUNDS`."""
    height, width = size
    row, column = np.mgrid[:height, :width].astype(np.float32)
    if kind == "studio":
        vignette = (column / width - 0.5) ** 2 + (row / height - 0.45) ** 2
        return np.clip(_colour(generator, 0.3) * (1 - generator.uniform(0, 0.3) * vignette)[..., None], 0, 1)
    behind = camera.distance + generator.uniform(4, 30)  # how far away the wall is
    horizon = camera.middle[1] + camera.focal * camera.height / behind
    down = np.maximum(row - camera.middle[1], 1e-3) / camera.focal
    depth = np.minimum(camera.height / down, 1e4)
    across = (column - camera.middle[0]) / camera.focal
    floor = textures.cloth(generator, ("plain", "rows", "checks")[generator.integers(3)],
                           np.stack([_colour(generator), _colour(generator)]), 4)  # fmt: skip
    picture = _wall(generator, across[0] * behind, (row[:, 0] - camera.middle[1]) / camera.focal * behind,
                    kind == "street")  # fmt: skip
    below = row > horizon
    places = np.stack([across * depth, depth], -1)[below] * 0.04
    picture[below] = textures.sample(floor, places.astype(np.float64), True)
    soft = generator.uniform(0.5, 3.0) * height / 256  # out of focus
    return np.clip(cv2.GaussianBlur(picture.astype(np.float32), (0, 0), soft), 0, 1)


def _wall(generator: np.random.Generator, x: np.ndarray, y: np.ndarray, outside: bool) -> np.ndarray:
    """A wall [H, W, 3] with pictures and furniture, or houses with windows and doors.

    Args: x, y: where on it each column [W] and each row [H] lies, in decimetres.
    """
    wall = np.empty((len(y), len(x), 3), np.float32)
    wall[:] = _colour(generator)
    wall *= (1 + 0.1 * np.tanh(y / 30))[:, None, None]
    for _ in range(int(generator.integers(10, 40) if outside else generator.integers(0, 7))):
        middle = generator.uniform(-45, 45), generator.uniform(-35, 8)
        half = generator.uniform(2, 14), generator.uniform(2, 18)
        columns, rows = np.abs(x - middle[0]) < half[0], np.abs(y - middle[1]) < half[1]
        wall[_range(rows), _range(columns)] = _colour(generator, 0.7)
        if outside and generator.random() < 0.5:  # panes
            panes = columns & (np.mod(x - middle[0], 5) < 3.5), rows & (np.mod(y - middle[1], 6) < 4.5)
            wall[np.ix_(panes[1], panes[0])] = _colour(generator, 0.4) * 0.6
    return wall


def _range(inside: np.ndarray) -> slice:
    """Where a mask [N] that holds between two places does."""
    found = np.flatnonzero(inside)
    return slice(found[0], found[-1] + 1) if len(found) else slice(0, 0)


def sample_ground(
    generator: np.random.Generator, camera: Camera, size: tuple[int, int], photos: Grounds | None = None
) -> np.ndarray:
    """What is behind somebody, [H, W, 3]: a drawn place, or one of `photos`."""
    if photos is not None and generator.random() < RANGES.photos:
        return photos.sample(generator, size)
    return ground(generator, GROUNDS[generator.choice(len(GROUNDS), p=RANGES.grounds)], camera, size)


def finish(generator: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """What cameras add to a picture [H, W, 3]: exposure, blur or sharpening, noise, JPEG."""
    r = RANGES
    exposed = np.clip(np.float32(picture) * np.float32(generator.uniform(0.8, 1.2)), 0, 1)
    exposed = cv2.pow(exposed, generator.uniform(0.85, 1.2))
    sigma = generator.uniform(*r.blur) * len(picture) / 256
    if sigma > 0.15:
        exposed = cv2.GaussianBlur(exposed, (0, 0), sigma)
    elif sigma < 0:  # as cameras and those who shrink photos do
        around = cv2.GaussianBlur(exposed, (0, 0), 0.9 * len(picture) / 256)
        exposed = np.clip(exposed - np.float32(256 / len(picture) * sigma) * (exposed - around), 0, 1)
    noise = generator.uniform(*r.noise)
    noisy = exposed + generator.standard_normal(picture.shape).astype(np.float32) * np.float32(noise)
    whole = np.rint(np.clip(255 * noisy, 0, 255)).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(generator.integers(*r.jpeg))]
    _, code = cv2.imencode(".jpg", whole[..., ::-1], quality)
    return cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255
