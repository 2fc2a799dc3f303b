"""What surfaces look like close up: skin, eyes, hair and cloth, as small pictures that repeat or do not.

Conventions: textures are RGB [h, w, 3] as screens show them, float32 in [0, 1] or uint8; texture coordinates (u, v) run
from 0 to 1, v upwards. Everything is a function of its arguments and a generator.
"""

import colorsys
import dataclasses
import functools
from collections.abc import Sequence

import cv2
import numpy as np

from vton_jax.catalogue import assets, bodies, compiled, people, styles, wardrobe
from vton_jax.catalogue.rasteriser import rasterise

SIDE = 512  # pixels of a skin
PATTERNS = ("plain", "stripes", "rows", "checks", "dots")
_EYES = {side: (0.36 * sign, 7.24) for side, sign in (("l", 1), ("r", -1))}  # on the neutral face


def sample(texture: np.ndarray, uv: np.ndarray, repeats: bool, *, plain: bool = False) -> np.ndarray:
    """Bilinear samples [N, 3] in [0, 1] at texture coordinates [N, 2].

    Args: plain: in NumPy, though numba is installed.
    """
    kernels = None if plain else compiled.kernels()
    if kernels is not None:
        found = np.empty((len(uv), 3), np.float32)
        kernels.sample(texture, uv, repeats, found)
        return found * np.float32(1 / 255) if texture.dtype == np.uint8 else found
    height, width = texture.shape[:2]
    x, y = uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]

    def at(dx, dy):
        column, row = x0 + dx, y0 + dy
        if repeats:
            return texture[row % height, column % width]
        return texture[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]

    top, bottom = at(0, 0) * (1 - fx) + at(1, 0) * fx, at(0, 1) * (1 - fx) + at(1, 1) * fx
    found = top * (1 - fy) + bottom * fy
    return found / 255 if texture.dtype == np.uint8 else found


def _noise(generator: np.random.Generator, sigma: float, side: int = SIDE) -> np.ndarray:
    """Smooth noise [side, side] of deviation 1."""
    coarse = 4 if sigma > 4 else 1  # smooth noise needs few numbers
    raw = generator.standard_normal((side // coarse, side // coarse), np.float32)
    raw = cv2.resize(cv2.GaussianBlur(raw, (0, 0), sigma / coarse), (side, side), interpolation=cv2.INTER_CUBIC)
    return raw / raw.std()


@functools.cache
def _skin_places() -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of a skin lies on the neutral body [SIDE, SIDE, 3], far away where nowhere, and how hollow the
    body is there [SIDE, SIDE], about -1 to 1."""
    mesh = assets.base_mesh()
    own = mesh.group == "body"
    triangles = mesh.triangles[own]
    points = np.concatenate([mesh.uv * [SIDE, -SIDE] + [-0.5, SIDE - 0.5], np.ones((len(mesh.uv), 1))], 1)
    raster = rasterise(points, mesh.triangles_uv[own], (SIDE, SIDE), both_sides=True)
    body = mesh.vertices[: assets.NUM_BODY]
    around = body.copy()
    for _ in range(3):  # towards the mean of the neighbours
        total, count = np.zeros_like(body), np.zeros(len(body))
        for one, two in ((0, 1), (1, 2), (2, 0)):
            for a, b in ((one, two), (two, one)):
                np.add.at(total, triangles[:, a], around[triangles[:, b]])
                np.add.at(count, triangles[:, a], 1)
        around = total / np.maximum(count, 1)[:, None]
    hollow = ((around - body) * normals(body, triangles)).sum(1)
    hollow = np.clip(hollow / np.percentile(np.abs(hollow), 97), -1, 1)
    places = raster.blend(triangles, mesh.vertices)
    places[~raster.covered] = -99
    return places.astype(np.float32), raster.blend(triangles, np.pad(hollow, (0, 1))[:, None])[..., 0].astype(
        np.float32
    )


@functools.cache
def _mask(name: str) -> np.ndarray:
    """One of the library's masks of a skin, [SIDE, SIDE] in [0, 1]."""
    picture = cv2.imread(str(assets.FOLDER / "masks" / f"mpfb_{name}.jpg"), cv2.IMREAD_GRAYSCALE)
    return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def normals(vertices: np.ndarray, triangles: np.ndarray, *, plain: bool = False) -> np.ndarray:
    """Unit normals [V, 3] of a mesh's vertices, outwards. Args: plain: in NumPy, though numba is installed."""
    kernels, found = None if plain else compiled.kernels(), np.zeros((len(vertices), 3))
    if kernels is not None:
        kernels.normals(vertices, triangles, found)
        return found
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    for k, axis in np.ndindex(3, 3):
        found[:, axis] += np.bincount(triangles[:, k], across[:, axis], len(vertices))
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def skin(
    generator: np.random.Generator, tone: float, hair: np.ndarray, *, beard: float = 0.0, lips: float = 0.3
) -> np.ndarray:
    """A skin [SIDE, SIDE, 3].

    Args: tone: 0 light to 1 dark. hair: its colour [3]; brows, lashes, beard and the shaved scalp have it. beard: 0
    none to 1 full. lips: how much redder than the skin.
    """
    hollow, face = _skin_places()[1], _painted()
    lightness, red, yellow = (
        76 - 49 * tone,
        10 - tone + 4 * np.sin(np.pi * tone),
        17 - 5 * tone + 7 * np.sin(np.pi * tone),
    )
    lab = np.empty((SIDE, SIDE, 3), np.float32)
    lab[:] = lightness, red, yellow
    lab[..., 0] += 1.2 * _noise(generator, 24) + 0.6 * _noise(generator, 6) - 4.5 * hollow
    lab[..., 1] += 0.8 * _noise(generator, 16) + 2.5 * np.clip(hollow, 0, 1)
    lab[..., 1] += 4.5 * face.blush + 1.5 * face.sockets + 2.0 * face.hands
    lab[..., 0] += 2 * face.nose - 1.2 * face.blush - np.float32(6 * (1 - 0.5 * tone)) * face.sockets + face.hands
    colour = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)

    grain = _noise(generator, 0.7)
    mouth, nails = _mask("lips") * np.float32(0.45 + 0.5 * lips), np.float32(0.35) * _mask("fingernails")
    brows = np.clip(face.brows * (0.72 + 0.2 * np.clip(grain, -1.5, 1)), 0, 0.92)
    stubble = np.clip(face.beard * (0.75 + 0.18 * grain), 0, 1) * np.float32(beard)
    scalp = np.clip(face.scalp * (0.86 + 0.07 * grain), 0, 1)
    last = (1 - 0.78 * face.lashes) * (1 + 0.012 * grain)
    planes = []  # one colour after the other: arrays whose last axis is 3 take several times as long
    for plane, lip, nail, own in zip(cv2.split(colour), (0.86, 0.52, 0.52), (0.93, 0.76, 0.72), hair, strict=True):
        plane = plane * (1 - np.float32(1 - lip) * mouth)
        plane += (np.float32(nail * (1 - 0.45 * tone)) - plane) * nails
        for cover, shade in ((brows, 0.55), (stubble, 0.8), (scalp, 0.8)):
            plane += (np.float32(shade * own) - plane) * cover
        planes.append(np.clip(plane * last, 0, 1))
    return cv2.merge(planes)


@dataclasses.dataclass(frozen=True)
class _Painted:
    """Where a skin is painted, each float32 [SIDE, SIDE] in [0, 1]: the same of everybody."""

    blush: np.ndarray
    sockets: np.ndarray
    nose: np.ndarray
    hands: np.ndarray
    brows: np.ndarray
    lashes: np.ndarray
    beard: np.ndarray
    scalp: np.ndarray


@functools.cache
def _painted() -> _Painted:
    x, y, z = np.moveaxis(_skin_places()[0], -1, 0)
    bump = lambda cx, cy, wx, wy: np.exp(-(((np.abs(x) - cx) / wx) ** 2) - ((y - cy) / wy) ** 2)  # noqa: E731
    face = z > 0.4
    found = _Painted(
        blush=(bump(0.62, 6.95, 0.28, 0.25) + 0.7 * bump(0, 6.95, 0.16, 0.15)) * face,
        sockets=bump(_EYES["l"][0], 7.26, 0.23, 0.14) * face,
        nose=bump(0, 7.15, 0.10, 0.25) * face,
        hands=np.clip((np.abs(x) - 4.0) / 0.6, 0, 1),
        brows=_brows(x, y, z),
        lashes=_lashes(x, y, z),
        beard=_beard(x, y, z),
        scalp=_scalp(x, y, z),
    )
    return _Painted(**{name: values.astype(np.float32) for name, values in vars(found).items()})


def _brows(x, y, z):
    total = np.zeros_like(x)
    for centre, row in _EYES.values():
        along = (x - centre) * np.sign(centre) / 0.30  # -1 at the nose
        curve = row + 0.235 + 0.05 * (1 - (along - 0.25) ** 2)
        thick = 0.042 * (1 - 0.45 * np.clip(along, 0, 1.3)) * np.clip((0.93 - np.abs(along - 0.2)) * 6, 0, 1)
        total += np.clip((thick - np.abs(y - curve)) / 0.02, 0, 1) * (z > 0.5)
    return total


def _lashes(x, y, z):
    total = np.zeros_like(x)
    for centre, row in _EYES.values():
        ring = np.hypot((x - centre) / 0.17, (y - row) / 0.085)
        total += np.clip(1 - np.abs(ring - 1.08) / 0.22, 0, 1) * (z > 0.5) * np.where(y > row - 0.01, 0.7, 0.3)
    return np.clip(total, 0, 1)


def _beard(x, y, z):
    where = (y > 6.05) & (y < 6.85) & (z > 0.1) & (np.abs(x) < 1.0)
    full = np.clip((6.8 - y + 0.25 * np.abs(x)) * 4, 0, 1) * np.clip((y - 6.12) * 5, 0, 1) * where
    mouth = np.hypot(x / 0.3, (y - 6.6) / 0.11) < 1
    return cv2.GaussianBlur(np.where(mouth, 0, full).astype(np.float32), (0, 0), 2)


def _scalp(x, y, z):
    """A shaved head's, which hair lies over."""
    ears = (np.abs(x) > 0.66) & (z > -0.35) & (y < 7.5)
    where = (y > 7.0) & ((z < 0.1 + (y - 7.2) * 0.75) | (y > 8.15)) & ~ears
    return cv2.GaussianBlur(where.astype(np.float32), (0, 0), 2.5)


def eye(iris: tuple[float, float, float], side: int = 64) -> np.ndarray:
    """An eye from the front [side, side, 3]: white, iris, pupil and a glint."""
    row, column = np.mgrid[:side, :side].astype(np.float32)
    radius = np.hypot(column - side / 2 + 0.5, row - side / 2 + 0.5) / (side / 2)
    picture = np.float32([0.80, 0.76, 0.73]) * (1 - 0.5 * np.clip(radius - 0.5, 0, 1))[..., None]
    picture *= np.clip(0.55 + row / side, 0, 1)[..., None]
    inside = radius < 0.5
    picture[inside] = np.float32(iris) * (0.6 + 1.2 * radius[inside])[:, None]
    picture[(radius > 0.44) & (radius < 0.53)] *= 0.5
    picture[radius < 0.22] = 0.02
    picture[np.hypot(column - 0.57 * side, row - 0.42 * side) < 0.04 * side] = 0.95
    return picture.astype(np.float32)


def hair(generator: np.random.Generator, colour: np.ndarray, side: int = 256) -> np.ndarray:
    """Strands [side, side, 3] that run along v."""
    strands = cv2.GaussianBlur(generator.normal(size=(1, side)).astype(np.float32), (0, 0), 0.7)
    locks = cv2.GaussianBlur(generator.normal(size=(side, side)).astype(np.float32), (0, 0), sigmaX=0.8, sigmaY=20)
    return np.clip(colour * (1 + 0.22 * strands / strands.std() + 0.25 * locks / locks.std())[..., None], 0.01, 1)


@functools.cache
def _weave(side: int) -> np.ndarray:
    """How uneven cloth is [side, side, 1], about 1: threads, and how they lie."""
    generator = np.random.default_rng(0)
    fine, coarse = (_noise(generator, sigma, side) for sigma in (0.6, 14))
    return (1 + 0.02 * fine + 0.03 * coarse).astype(np.float32)[..., None]


@functools.cache
def _folds(side: int, number: int) -> np.ndarray:
    """How folds lighten and darken cloth [side, side, 1], of mean 0 and deviation 1; it repeats.

    Creases run along one direction each, as cloth under tension has them, and are lit from above.
    """
    generator = np.random.default_rng([1, number])
    row, column = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij")
    height = np.zeros((side, side))
    for length, width in ((0.12, 0.022), (0.06, 0.012), (0.2, 0.05)):
        angle = generator.uniform(0, np.pi)
        along, across = column * np.cos(angle) + row * np.sin(angle), row * np.cos(angle) - column * np.sin(angle)
        smooth = np.exp(-2 * (np.pi * side) ** 2 * ((along * length) ** 2 + (across * width) ** 2))
        layer = np.fft.ifft2(np.fft.fft2(generator.standard_normal((side, side))) * smooth).real
        height += width * np.tanh(1.5 * layer / layer.std())  # flat between creases
    slope = np.roll(height, -1, 0) - np.roll(height, 1, 0)
    return (slope / slope.std()).astype(np.float32)[..., None]


def cloth(
    generator: np.random.Generator,
    pattern: str,
    colours: np.ndarray,
    repeats: int = 8,
    side: int = 256,
    *,
    creased: float = 0.0,
):
    """Cloth [side, side, 3] that repeats.

    Args: pattern: one of `PATTERNS`. colours: [2, 3], the ground's and the figure's. repeats: of the figure. creased:
    by what fraction folds lighten and darken it.
    """
    number = int(generator.integers(8))
    moved_folds, moved_weave = generator.integers(side, size=2), generator.integers(side, size=2)
    figure = _figure(pattern, repeats, side)
    kernels = compiled.kernels()
    if kernels is not None:
        found = np.empty((side, side, 3), np.float32)
        weave = _weave(side), *(int(-by % side) for by in moved_weave)
        folds = _folds(side, number), *(int(-by % side) for by in moved_folds), np.float32(creased)
        kernels.cloth(figure, np.asarray(colours, np.float32), weave, folds, found)
        return found
    folds = 1 + creased * np.roll(_folds(side, number), moved_folds, (0, 1))
    mixed = np.where(figure[..., None], colours[1], colours[0]) * np.roll(_weave(side), moved_weave, (0, 1))
    return np.clip(mixed * np.clip(folds, 0.55, 1.35), 0, 1).astype(np.float32)


@functools.lru_cache(maxsize=128)
def _figure(pattern: str, repeats: int, side: int) -> np.ndarray:
    """Where a pattern shows its figure, bool [side, side]."""
    if pattern == "plain":
        return np.zeros((side, side), bool)
    row, column = (np.mgrid[:side, :side] + 0.5) * repeats / side
    across, down = column % 1, row % 1
    figure = {
        "stripes": across < 0.5,
        "rows": down < 0.5,
        "checks": (across < 0.5) ^ (down < 0.5),
        "dots": np.hypot(across - 0.5, down - 0.5) < 0.3,
    }[pattern]
    return cv2.GaussianBlur(figure.astype(np.float32), (0, 0), 0.7) > 0.5


def _pair(generator: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """A colour [3] and one [2, 3] that goes with it: much darker or lighter, or white."""
    hue, saturation, value = colorsys.rgb_to_hsv(*map(float, colour))
    if generator.random() < 0.3 and value < 0.8:
        return np.stack([colour, np.float32([0.95, 0.95, 0.93])])
    other = value * 0.45 if value > 0.6 else min(value + 0.4, 0.95)
    return np.stack([colour, np.float32(colorsys.hsv_to_rgb(hue, saturation * 0.8, other))])


_LEATHERS = ("black", "brown", "white", "grey", "beige", "navy", "burgundy", "charcoal", "red", "pink")
_ANY_PATTERN = ("plain",) * 5 + PATTERNS  # where a style's rules are broken: most clothes are plain
_LEATHER = ("bag", "belt", "sunglasses")
# Halves that are of one cloth.
_SAME = {"dress/skirt": "dress/top", "bag/strap": "bag", "coat/skirt": "coat", "scarf/end": "scarf"}
HAIR_COLOURS = (
    (0.05, 0.04, 0.035), (0.09, 0.06, 0.045), (0.22, 0.13, 0.07), (0.34, 0.22, 0.10), (0.55, 0.40, 0.20),
    (0.78, 0.62, 0.36), (0.45, 0.18, 0.08), (0.32, 0.30, 0.29),
)  # fmt: skip
_IRISES = ((0.20, 0.12, 0.07), (0.12, 0.07, 0.05), (0.28, 0.34, 0.38), (0.25, 0.30, 0.20))


@dataclasses.dataclass(frozen=True)
class Looks:
    """How somebody's skin, eyes and hair look."""

    skin: np.ndarray  # float32 [SIDE, SIDE, 3]
    eyes: np.ndarray
    hair: np.ndarray  # the texture of strands
    tone: float  # of the skin, 0 light to 1 dark


def sample_looks(generator: np.random.Generator, who: bodies.Identity) -> Looks:
    """Skin, eyes and hair that go with somebody's origins."""
    african, asian, european = np.asarray(who.origins) / sum(who.origins)
    tone = float(np.clip(0.75 * african + 0.12 * asian + generator.normal(0.05, 0.06), 0, 0.85))
    light = european > 0.5 or generator.random() < 0.15  # some dye it
    index = generator.choice(8, p=[0.12, 0.14, 0.18, 0.16, 0.14, 0.14, 0.06, 0.06]) if light else generator.integers(2)
    colour = np.float32(HAIR_COLOURS[index])
    beard = float(generator.choice([0.0, 0.0, 0.4, 0.8])) if who.gender > 0.5 else 0.0
    skin_texture = skin(generator, tone, colour, beard=beard, lips=float(generator.uniform(0.1, 0.7)))
    iris = _IRISES[generator.integers(4) if light else generator.integers(2)]
    return Looks(skin_texture, eye(iris), hair(generator, colour).astype(np.float32), tone)


def sample_textures(
    generator: np.random.Generator, looks: Looks, layers: Sequence[str], style: str, free: float = styles.FREE
) -> dict[str, np.ndarray]:
    """A texture [h, w, 3] for every layer of somebody, see `people.Person`.

    Args: style: of `styles.STYLES`; clothes are of it, but for the choices that are free. free: how often they are.
    """
    rules = styles.STYLES[style]
    found = {people.SKIN: looks.skin, people.EYES: looks.eyes}
    for name in layers[2:]:
        if _SAME.get(name) in found:
            found[name] = found[_SAME[name]]
        elif name in wardrobe.HAIR:
            found[name] = looks.hair
        elif name == "boots":
            found[name] = next(found[shoes] for shoes in layers if shoes in wardrobe.SHOES)
        elif name in wardrobe.SHOES or name in _LEATHER:
            shade = styles.colour(generator, styles.choose(generator, rules.shoes, _LEATHERS, free))
            shade = shade * 0.15 if name == "sunglasses" else shade
            found[name] = cloth(generator, "plain", np.stack([shade, shade]))
        else:
            top = name.endswith(("top", "upper", "coat", "cap", "scarf"))
            allowed = (rules.tops, rules.patterns) if top else (rules.lowers, ("plain",))
            shade = styles.colour(generator, styles.choose(generator, allowed[0], tuple(styles.COLOURS), free))
            pattern = styles.choose(generator, allowed[1], _ANY_PATTERN, free)
            repeats, creased = int(generator.integers(6, 24)), float(generator.uniform(0.03, 0.16))
            found[name] = cloth(generator, pattern, _pair(generator, shade), repeats, creased=creased)
    return found
