"""A view as a photo would show it: textures, light, soft shadows, ground.

Conventions: pictures are float32 RGB [H, W, 3] in [0, 1] as screens show them; light adds up in linear values.
"""

import dataclasses
import functools
from collections.abc import Mapping

import cv2
import numpy as np

from vton_jax.catalogue import compiled, people, textures, wardrobe
from vton_jax.catalogue.camera import Camera
from vton_jax.catalogue.rasteriser import Raster, rasterise, which
from vton_jax.catalogue.views import View

_GAMMA = 2.2
# From the left, the right, the front and above, as the camera has them: light from any other side in front is about a
# sum of these.
KEY_DIRECTIONS = ((-0.8, 0.6, 0.5), (0.8, 0.6, 0.5), (0.0, 0.45, 0.9), (0.0, 0.95, 0.35))
BRIGHTEST = 1.3  # no field of a shading is brighter
_SHADOW_SIDE, _SHADOW_REACH = 220, 10.5  # pixels of the light's own picture, and how far it sees, in decimetres


@dataclasses.dataclass(frozen=True)
class Light:
    """A key light, its fill from the other side, and what comes from everywhere."""

    direction: tuple[float, float, float] = (-0.5, 0.65, 0.75)  # towards the key light
    key: tuple[float, float, float] = (0.72, 0.69, 0.65)
    ambient: tuple[float, float, float] = (0.55, 0.56, 0.60)


@dataclasses.dataclass(frozen=True)
class Surface:
    """How a layer takes light. Chosen by eye."""

    wrap: float  # how far light reaches round it: skin glows, hair does not
    shine: float
    sharpness: int  # of the highlight


_SURFACES = {people.SKIN: Surface(0.35, 0.06, 18), people.EYES: Surface(0.1, 0.5, 60)}
_CLOTH, _HAIR, _SHOES = Surface(0.25, 0.012, 8), Surface(0.25, 0.10, 14), Surface(0.25, 0.12, 25)


def _surface(layer: str) -> Surface:
    return _SURFACES.get(layer, _HAIR if layer in wardrobe.HAIR else _SHOES if layer in wardrobe.SHOES else _CLOTH)


def _unit(vector) -> np.ndarray:
    return np.float32(np.asarray(vector, float) / np.linalg.norm(vector))


@dataclasses.dataclass(frozen=True)
class _Shadows:
    """What the light sees: nearness to it on a grid across its direction."""

    axes: np.ndarray  # [3, 3]: across, down, towards the light
    nearness: np.ndarray  # [side, side], 0 where nothing is

    @property
    def matrix(self) -> np.ndarray:
        """How a place comes to lie there, [3, 4]: column, row and nearness, which is above 0 for all that is seen."""
        scale = _SHADOW_SIDE / (2 * _SHADOW_REACH)
        axes = self.axes * [[scale], [scale], [1]]
        middle = np.array([_SHADOW_SIDE / 2, _SHADOW_SIDE / 2, 40]) - axes @ [0, 8.5, 0]
        return np.concatenate([axes, middle[:, None]], 1)

    def place(self, points: np.ndarray) -> np.ndarray:
        """(column, row, nearness) [N, 3]."""
        matrix, kernels = self.matrix, compiled.kernels()
        if kernels is not None:
            found = np.empty((len(points), 3))
            kernels.place(points, matrix, found)
            return found
        return points @ matrix[:, :3].T + matrix[:, 3]

    def lit(self, points: np.ndarray, leeway: float) -> np.ndarray:
        """How much of the key light reaches points [N, 3], 0 to 1: nine looks around each."""
        places = self.place(points)
        kernels = compiled.kernels()
        if kernels is not None:
            found = np.zeros(len(points), np.float32)
            kernels.lit(self.nearness, places, leeway, found)
            return found
        column, row, near = places.T
        total = np.zeros(len(points))
        for dy in (-1.3, 0, 1.3):
            for dx in (-1.3, 0, 1.3):
                x, y = np.rint(column + dx).astype(int), np.rint(row + dy).astype(int)
                inside = (x >= 0) & (x < _SHADOW_SIDE) & (y >= 0) & (y < _SHADOW_SIDE)
                there = self.nearness[np.clip(y, 0, _SHADOW_SIDE - 1), np.clip(x, 0, _SHADOW_SIDE - 1)]
                total += inside & (there > near + leeway)
        return 1 - total / 9


def _shadows(view: View, light: Light) -> _Shadows:
    towards = _unit(light.direction)
    across = _unit(np.cross([0, 1, 0], towards))
    empty = _Shadows(np.stack([across, -np.cross(towards, across), towards]), np.zeros((0, 0)))
    size = (_SHADOW_SIDE, _SHADOW_SIDE)
    _, nearness = which(empty.place(view.places), view.person.triangles, size, both_sides=True, keep=view.person.keep)
    return dataclasses.replace(empty, nearness=nearness)


def albedo(raster: Raster, view: View, skins: Mapping[str, np.ndarray]) -> np.ndarray:
    """The surfaces' own colours [N, 3], linear, of the covered pixels of a raster of the view.

    Args: skins: the texture of each of the person's layers, by its name.
    """
    person, shown = view.person, raster.shown
    uv = raster.at_pixels(person.triangles_uv, person.uv)
    layer, colours = person.layer[shown], np.zeros((len(shown), 3), np.float32)
    for index, name in enumerate(person.layers):
        here = np.flatnonzero(layer == index)
        colours[here] = textures.sample(skins[name], uv[here], repeats=index > 1)
    return colours ** np.float32(_GAMMA)


def _near_things_darken(depth: np.ndarray) -> np.ndarray:
    """Ambient light [H, W] that reaches each pixel, 0 to 1: less in folds and where limbs lie close."""
    far = np.where(np.isfinite(depth), depth, depth[np.isfinite(depth)].max(initial=0) + 3).astype(np.float32)
    open_to = np.ones_like(far)
    for reach, amount in ((2, 0.9), (6, 0.5)):
        box = (2 * reach + 1, 2 * reach + 1)
        open_to -= amount * np.clip((far - cv2.blur(cv2.blur(far, box), box)) * 0.5, 0, 0.35)
    return np.clip(open_to, 0.35, 1)


def shade(
    view: View,
    skins: Mapping[str, np.ndarray],
    light: Light,
    ground: np.ndarray | None = None,
    samples: int = 2,
    *,
    stands: bool = True,
) -> np.ndarray:
    """The picture [H, W, 3] of a view.

    Args: skins: see `albedo`. ground: what is behind [H, W, 3]; default: a plain studio. samples: a side of each pixel.
    stands: whether the ground has a floor, on which shadows fall; what lies flat has none.
    """
    size = view.raster.triangle.shape
    shadows = _shadows(view, light)
    draws = _drawn_plainly if compiled.kernels() is None else _drawn
    drawn = draws(view, skins, light, shadows, samples)
    ground = _studio(size) if ground is None else ground
    picture = cv2.pow(np.float32(ground), _GAMMA)  # OpenCV's is five times as fast as NumPy's, and as exact
    picture = _floor_shadow(view, shadows, picture) if stands else picture
    rest = 1 - drawn[..., 3]
    planes = [plane * rest + drawn[..., axis] for axis, plane in enumerate(cv2.split(picture))]
    return cv2.pow(np.clip(np.float32(1.02) * cv2.merge(planes), 0, 1), 1 / _GAMMA)


def _directions(light: Light) -> np.ndarray:
    """Towards key light, glint and fill, float32 [3, 3]."""
    towards = _unit(light.direction)
    return np.stack([towards, _unit(towards + [0, 0, 1]), _unit([-light.direction[0] * 1.6, 0.2, 0.5])])


def _open_to(view: View, fine: tuple[int, int]) -> np.ndarray:
    """See `_near_things_darken`, of a finer picture [h, w]."""
    return cv2.resize(_near_things_darken(view.depth), fine[::-1], interpolation=cv2.INTER_LINEAR)


@functools.cache
def _linear_values() -> np.ndarray:
    """Linear values of 4,097 values from 0 to 1 as screens show them: what lies between is on a line within 1e-7."""
    return (np.linspace(0, 1, 4097) ** _GAMMA).astype(np.float32)


def _drawn(view: View, skins: Mapping, light: Light, shadows: _Shadows, samples: int) -> np.ndarray:
    """The person alone, float32 [H, W, 4]: linear colours, times how much of each pixel is covered, and that."""
    size = view.raster.triangle.shape
    kernels, person, fine = compiled.kernels(), view.person, tuple(samples * side for side in size)
    points = view.camera.scaled(samples).project(view.places)
    triangle = which(points, person.triangles, fine, **person.drawn)[0].reshape(-1)
    seen = np.flatnonzero(triangle >= 0)
    layer = person.layer.astype(np.uint8)[triangle[seen]]
    # What is blended lies side by side, as each sample reads it.
    vertices = np.empty((len(points), 6), np.float32)
    vertices[:, :3], vertices[:, 3:] = textures.normals(view.places, person.triangles), view.places
    mesh = triangle, fine[1], points, person.triangles, vertices, person.triangles_uv, person.uv
    directions = _directions(light).astype(np.float64)
    lamp = directions, shadows.nearness, shadows.matrix, _open_to(view, fine).reshape(-1)
    tables = _linear_values(), np.array([light.ambient, light.key], np.float64), samples
    drawn = np.zeros((*size, 4), np.float32)
    for index, name in enumerate(person.layers):
        pixels, surface = seen[layer == index], _surface(name)
        if not len(pixels):
            continue
        lights = np.empty((len(pixels), 5), np.float32)
        kernels.light(pixels, mesh, (float(surface.wrap), float(surface.shine), int(surface.sharpness)), lamp, lights)
        kernels.add(pixels, textures.sample(skins[name], lights[:, :2], repeats=index > 1), lights, tables, drawn)
    return drawn


def _drawn_plainly(view: View, skins: Mapping, light: Light, shadows: _Shadows, samples: int) -> np.ndarray:
    """`_drawn` in NumPy."""
    size = view.raster.triangle.shape
    camera, person = view.camera.scaled(samples), view.person
    fine = tuple(samples * side for side in size)
    raster = rasterise(camera.project(view.places), person.triangles, fine, **person.drawn)
    seen = raster.covered
    normal = raster.at_pixels(person.triangles, textures.normals(view.places, person.triangles)).astype(np.float32)
    place = raster.at_pixels(person.triangles, view.places)
    length = np.sqrt(np.einsum("pc,pc->p", normal, normal))
    normal /= (np.where(normal[:, 2] < 0, -1, 1) * np.maximum(length, 1e-9))[:, None]  # below 0: the inside of cloth
    open_to = _open_to(view, fine)[seen]

    kinds = [_surface(name) for name in person.layers]
    layer = person.layer[raster.shown]
    wrap, shine, sharpness = np.float32([(k.wrap, k.shine, k.sharpness) for k in kinds]).T[:, layer]
    towards, between, fill_from = _directions(light)
    lit = 0.2 + 0.8 * shadows.lit(place, leeway=0.25)
    key = np.clip((normal @ towards + wrap) / (1 + wrap), 0, None) * lit
    fill = np.clip(normal @ fill_from, 0, None)
    ambient = (0.775 + 0.225 * normal[:, 1] + 0.45 * fill) * open_to
    glint = np.clip(normal @ between, 0, None) ** sharpness * shine * lit
    key_colour, ambient_colour = np.float32(light.key), np.float32(light.ambient)
    colour = albedo(raster, view, skins) * (ambient[:, None] * ambient_colour + key[:, None] * key_colour)
    colour += glint[:, None] * key_colour
    drawn = np.zeros((*fine, 4), np.float32)
    drawn[seen] = np.concatenate([colour, np.ones((len(colour), 1), np.float32)], 1)
    return cv2.resize(drawn, size[::-1], interpolation=cv2.INTER_AREA)  # the mean of each pixel's samples


def shading(view: View) -> np.ndarray:
    """How light falls on whoever a view shows, linear, float32 [H, W, 1 + n]: what comes from everywhere, then key
    lights from `KEY_DIRECTIONS`, of a white surface each; 0 where nobody is.
    """
    white, fields = {name: np.ones((1, 1, 3), np.float32) for name in view.person.layers}, []
    draws = _drawn_plainly if compiled.kernels() is None else _drawn
    for direction in KEY_DIRECTIONS:
        light = Light(direction, key=(0, 1, 0), ambient=(1, 0, 0))  # told apart by their colours
        fields.append(draws(view, white, light, _shadows(view, light), 2))
    red, green, _, covered = np.moveaxis(np.stack(fields, -2), -1, 0)
    both = np.concatenate([red.mean(-1, keepdims=True), green], -1)
    return both / np.maximum(covered[..., :1], 1e-6)


def _studio(size: tuple[int, int]) -> np.ndarray:
    """A light wall that darkens towards its corners."""
    row, column = np.mgrid[: size[0], : size[1]] / np.array(size).reshape(2, 1, 1)
    return np.float32([0.90, 0.90, 0.905]) * (1 - 0.24 * ((column - 0.5) ** 2 + (row - 0.45) ** 2))[..., None]


def _floor_shadow(view: View, shadows: _Shadows, ground: np.ndarray) -> np.ndarray:
    """The ground [H, W, 3], linear, darkened where the person keeps the key light from the floor."""
    camera: Camera = view.camera
    height, width = ground.shape[:2]
    down = (np.arange(height) - camera.middle[1]) / camera.focal  # a row's rays fall so much a decimetre
    depth = camera.height / np.maximum(down, 1e-3)
    floor = (down > 0.02) & (depth < camera.distance + 14)
    depth = depth[floor, None]
    across = (np.arange(width) - camera.middle[0]) / camera.focal * depth
    place = np.stack([across, np.zeros_like(across), np.broadcast_to(camera.distance - depth, across.shape)], -1)
    dark = np.zeros((height, width), np.float32)
    dark[floor] = 1 - shadows.lit(place.reshape(-1, 3), leeway=0.1).reshape(across.shape)
    contact = np.zeros_like(dark)
    used = view.person.used
    low = view.places[used[view.places[used, 1] < 0.3]]
    feet = np.rint(camera.project(low)[:, :2]).astype(int)
    inside = (feet >= 0).all(1) & (feet < [width, height]).all(1)
    contact[feet[inside, 1], feet[inside, 0]] = 1
    contact = cv2.GaussianBlur(cv2.dilate(contact, np.ones((2, 3), np.uint8)), (0, 0), 1.5 * height / 256)
    dark = cv2.GaussianBlur(dark, (0, 0), 3.0 * height / 256)
    left = (1 - 0.22 * dark) * (1 - 0.5 * np.clip(contact, 0, 1))
    return ground * cv2.merge([left] * 3)
