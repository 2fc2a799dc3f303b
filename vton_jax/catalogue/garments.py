"""Garments by rule: a few numbers cut and drape the body's helper surfaces into tops, trousers, skirts and dresses.

The helper `tights` covers the body from neck to wrists and ankles, `skirt` hangs from the waist; both follow every
shape and have weights. A garment keeps the part of them where a signed value is above 0, which is looked at in every
pixel, so that hems are smooth; cloth hangs from where the body stands out, and is as loose as the cut says.

Conventions: along an arm 0 is the shoulder, 1 the elbow, 2 the wrist; along a leg 0 the hip, 1 the knee, 2 the ankle;
up the trunk 0 is the hips, 1 the neck. Widths are in decimetres.
"""

import dataclasses
import functools
import itertools
from typing import Literal, Protocol

import cv2
import numpy as np

from vton_jax.catalogue import assets, rings, styles
from vton_jax.catalogue.skeleton import SIDES
from vton_jax.core import segmentation

_ARM_BONES = ("upperarm", "lowerarm", "hand", "thumb", "index", "middle", "ring", "pinky")
_ROWS, _ANGLES = 90, 72  # of the grid on which a trunk's cloth hangs
_HANGS_FROM = 0.74  # up the trunk: the shoulder blades and the top of the chest
_ALL = 1e3  # kept in any case
_BELT = 0.2  # half of how wide it is
_SCALE = 0.1  # texture repeats a decimetre


class Cloth(Protocol):
    """What lies on a garment in place of cloth that repeats, such as `photo_cloth.PhotoCloth`."""

    def uv(self, garment: "Garment") -> np.ndarray:
        """Coordinates [3 T, 2] in its own texture, see `Garment.uv`."""


@dataclasses.dataclass(frozen=True)
class Cut:
    """A garment's numbers, and the cloth if it is no cloth that repeats."""

    kind: Literal["top", "trousers", "skirt", "dress", "belt", "boots"]
    sleeve: float = 0.6  # along the arm; below 0.2: none
    hem: float = -0.12  # up the trunk: of a top
    neck_depth: float = 0.0  # of the neckline in front
    neck_width: float = 0.74  # half of it
    leg: float = 1.95  # along the leg: of trousers, skirts and dresses
    waist: float = 0.22  # up the trunk: of trousers and skirts
    loose: float = 0.1
    cling: float = 0.3  # how fast cloth comes back to the body below where that stands out; 0: it hangs straight
    flare: float = 0.1  # of sleeves, trouser legs and skirts, over their length
    open: float = 0.0  # half the gap in front, from top to bottom; 0: none
    cloth: Cloth | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class _Sheet:
    """A helper's surface, every triangle cut into four, and where it lies on the neutral body."""

    start: int  # the first of its vertices on the body's mesh
    count: int
    edges: np.ndarray  # int [E, 2]: of its own vertices; each gets one in its middle
    triangles: np.ndarray  # int32 [T, 3]
    weights: np.ndarray  # [V, 53]
    arm: np.ndarray  # [V], how much follows an arm's bones
    along_arm: np.ndarray  # [V]
    along_leg: np.ndarray  # [V]
    up: np.ndarray  # [V], up the trunk
    left: np.ndarray  # bool [V]
    neutral: np.ndarray  # [V, 3]

    @functools.cached_property
    def on_left(self) -> np.ndarray:
        """Which triangles [T] lie on the left side."""
        return self.left[self.triangles].mean(1) > 0.5

    @functools.cached_property
    def used(self) -> np.ndarray:
        return np.unique(self.triangles)

    @functools.cached_property
    def corners_uv(self) -> np.ndarray:
        """Of every triangle its own three texture coordinates, int32 [T, 3]."""
        return np.arange(self.triangles.size, dtype=np.int32).reshape(-1, 3)

    @functools.cache  # noqa: B019 (there are two sheets, which stay)
    def on_limb(self, limb: str, side: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(vertices [n] of a sleeve or trouser leg, how far along the limb each lies [n, 1], and how much it is one
        [n, 1]). Args: limb: `arm` or `leg`."""
        if limb == "arm":
            here = np.flatnonzero((self.left == (side == "l")) & (self.arm > 0.05))
            return here, self.along_arm[here, None], np.clip((self.arm[here, None] - 0.05) * 2.5, 0, 1)
        here = np.flatnonzero((self.left == (side == "l")) & (self.arm < 0.3) & (self.along_leg > 0))
        s = self.along_leg[here, None]
        return here, s, np.clip(s / 0.25, 0, 1)

    def divided(self, values: np.ndarray) -> np.ndarray:
        """Values [19158, C] of the body's vertices on this sheet, [V, C]."""
        own = values[self.start : self.start + self.count]
        return np.concatenate([own, (own[self.edges[:, 0]] + own[self.edges[:, 1]]) / 2])


def _limb(places: np.ndarray, chain: np.ndarray) -> np.ndarray:
    """How far along a limb of joints [3, 3] places [V, 3] lie, 0 to 2 and beyond."""
    found = []
    for first, second in itertools.pairwise(chain):
        bone = second - first
        found.append((places - first) @ bone / (bone @ bone))
    return np.where(found[0] < 1, found[0], 1 + np.clip(found[1], 0, None))


@functools.cache
def _sheet(group: str) -> _Sheet:
    mesh, rig = assets.base_mesh(), assets.rig()
    triangles = mesh.part(group)
    start, end = int(triangles.min()), int(triangles.max()) + 1
    own = triangles - start
    sides = np.sort(np.concatenate([own[:, [0, 1]], own[:, [1, 2]], own[:, [2, 0]]]), 1)
    edges, middle = np.unique(sides, axis=0, return_inverse=True)
    count = end - start
    ab, bc, ca = (middle.reshape(3, -1) + count).astype(np.int32)
    a, b, c = own.T
    parts = (a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)
    divided = np.concatenate([np.stack(part, 1) for part in parts]).astype(np.int32)
    values = lambda of: np.concatenate([of[start:end], of[start:end][edges].mean(1)])  # noqa: E731
    neutral, weights = values(mesh.vertices), values(rig.weights)
    joints, left = rig.joints(mesh.vertices), neutral[:, 0] > 0
    chains = {
        limb: [joints[[rig.bone(f"{bone}_{side}") for bone in bones]] for side in SIDES]
        for limb, bones in (("arm", ("upperarm", "lowerarm", "hand")), ("leg", ("thigh", "calf", "foot")))
    }
    along = {limb: np.where(left, *(_limb(neutral, chain) for chain in pair)) for limb, pair in chains.items()}
    hips, neck = joints[rig.bone("thigh_l"), 1], joints[rig.bone("neck_01"), 1]
    arms = weights[:, [b for b, name in enumerate(rig.bones) if name.startswith(_ARM_BONES)]].sum(1)
    up = (neutral[:, 1] - hips) / (neck - hips)
    return _Sheet(start, count, edges, divided, weights, arms, along["arm"], along["leg"], up, left, neutral)


def sheet_of(kind: str) -> _Sheet:
    """The helper's surface that a kind of `Cut` is cut from."""
    return _sheet("helper-skirt" if kind == "skirt" else "helper-tights")


@functools.cache
def _trunk() -> float:
    """Decimetres from hips to neck on the neutral body."""
    joints, rig = assets.rig().joints(assets.base_mesh().vertices), assets.rig()
    return float(joints[rig.bone("neck_01"), 1] - joints[rig.bone("thigh_l"), 1])


def _neckline(sheet: _Sheet, cut: Cut) -> np.ndarray:
    """Above 0 outside of the hole for the neck, an ellipse that is deeper in front."""
    rig = assets.rig()
    x, y, z = (sheet.neutral - rig.joints(assets.base_mesh().vertices)[rig.bone("neck_01")]).T
    above = y - 0.23 + 0.45 * (z + 0.3)
    depth = np.where(z > 0.2, 0.34 + cut.neck_depth, 0.26)
    ellipse = np.hypot(x / cut.neck_width, above / depth) - 1
    return 0.5 * np.where(above < 0, ellipse, np.abs(x) / cut.neck_width - 1)


def _kept(sheet: _Sheet, cut: Cut) -> np.ndarray:
    """The signed value [V] of a top or of trousers on the tights, in decimetres about: cloth is where it is above 0."""
    on_arm, trunk = sheet.arm > 0.5, _trunk()
    if cut.kind == "trousers":
        legs = np.where(sheet.along_leg > 0, (cut.leg - sheet.along_leg) * 4, _ALL)
        return np.where(sheet.arm > 0.3, -1.0, np.minimum((cut.waist - sheet.up) * trunk, legs))
    if cut.kind == "boots":
        return np.where((sheet.arm > 0.3) | (sheet.along_leg <= 0), -1.0, (sheet.along_leg - cut.leg) * 4)
    if cut.kind == "belt":
        return np.where(sheet.arm > 0.1, -1.0, _BELT - np.abs(cut.waist - sheet.up) * trunk)
    bottom = np.where(on_arm, _ALL, (sheet.up - cut.hem) * trunk)
    if cut.sleeve < 0.2:
        reach = 1.55 - np.abs(sheet.neutral[:, 0]) + 0.25 * np.clip(5.0 - sheet.neutral[:, 1], 0, 1)
        sleeve = np.where(sheet.arm > 0.6, -1.0, np.where(sheet.up > 0.5, reach, _ALL))
    else:
        sleeve = np.where(sheet.arm > 0.3, (cut.sleeve - sheet.along_arm) * 2.6, _ALL)
    return np.minimum(np.minimum(np.minimum(bottom, sleeve), _neckline(sheet, cut)), _closed(sheet, cut))


def _closed(sheet: _Sheet, cut: Cut) -> np.ndarray:
    """Above 0 where a garment that stands open in front is not."""
    if not cut.open:
        return np.full(len(sheet.neutral), _ALL)
    on_trunk = (sheet.neutral[:, 2] > 0) & (sheet.arm < 0.3)
    return np.where(on_trunk, np.abs(sheet.neutral[:, 0]) - cut.open, _ALL)


def _hang(sheet: _Sheet, places: np.ndarray, cut: Cut) -> np.ndarray:
    """Cloth [V, 3] of a trunk: it hangs from shoulder blades, chest and belly, and bridges what lies between."""
    angle, radius = np.arctan2(places[:, 0], places[:, 2]), np.hypot(places[:, 0], places[:, 2])
    low, high = -0.5, 1.0  # up the trunk
    row = (sheet.up - low) / (high - low) * (_ROWS - 1)
    column = (angle + np.pi) / (2 * np.pi) * _ANGLES
    grid = np.zeros((_ROWS, _ANGLES))
    own = (sheet.arm < 0.15) & (row >= 0) & (row < _ROWS)  # no shoulders: cloth does not hang from them
    np.maximum.at(grid, (row[own].astype(int), column[own].astype(int) % _ANGLES), radius[own])
    for _ in range(6):  # what no vertex met
        wide = np.zeros((_ROWS + 2, _ANGLES + 2))
        wide[1:-1, 1:-1], wide[1:-1, 0], wide[1:-1, -1] = grid, grid[:, -1], grid[:, 0]
        around = np.maximum(wide[1:-1, :-2], wide[1:-1, 2:])
        grid = np.where(grid == 0, np.maximum(around, np.maximum(wide[2:, 1:-1], wide[:-2, 1:-1])), grid)
    grid = rings.blurred(grid, 1, 2)
    hanging, step = grid.copy(), (high - low) * _trunk() / (_ROWS - 1)
    first = int((_HANGS_FROM - low) / (high - low) * (_ROWS - 1))
    for index in range(first, -1, -1):
        hanging[index] = np.maximum(grid[index], hanging[index + 1] - cut.cling * step)
    widest = cv2.dilate(cv2.copyMakeBorder(hanging, 0, 0, 3, 3, cv2.BORDER_WRAP), np.ones((1, 7)))[:, 3:-3]
    hanging = np.maximum(hanging, 0.5 * hanging + 0.5 * rings.blurred(widest, 2, 3))
    hanging = rings.blurred(hanging, 1.5, 2.5)
    at = rings.between(hanging, np.clip(row, 0, _ROWS - 1), column - 0.5)
    part = np.clip((0.9 - sheet.up) / 0.25, 0, 1) * np.clip(1 - 2.2 * sheet.arm, 0, 1)
    wanted = np.maximum(radius, at) + cut.loose * np.clip((1.05 - sheet.up) / 0.3, 0, 1)
    factor = 1 + (wanted / np.maximum(radius, 1e-3) - 1) * part
    return np.stack([places[:, 0] * factor, places[:, 1], places[:, 2] * factor], 1)


def _widened(sheet: _Sheet, places: np.ndarray, body: np.ndarray, cut: Cut, limb: str) -> np.ndarray:
    """Sleeves (`arm`) or trouser legs (`leg`) as loose as they are cut, more so towards their ends and below."""
    rig, out = assets.rig(), places.copy()
    bones = ("upperarm", "lowerarm", "hand") if limb == "arm" else ("thigh", "calf", "foot")
    joints = rig.joints(body)
    for side in SIDES:
        first, second, third = joints[[rig.bone(f"{bone}_{side}") for bone in bones]]
        here, s, part = sheet.on_limb(limb, side)
        axis = np.where(s < 1, first + (second - first) * s, second + (third - second) * (s - 1))
        off = places[here] - axis
        if limb == "leg":
            off[:, 1] = 0
        radius = np.maximum(np.sqrt(off[:, :1] ** 2 + off[:, 1:2] ** 2 + off[:, 2:] ** 2), 1e-3)
        hangs = np.clip(-off[:, 1:2] / radius, 0, 1) if limb == "arm" else 0.5
        width = (cut.loose + cut.flare * np.clip(s, 0, 2)) * (0.6 + 0.8 * hangs)
        out[here] += off * (width * part / radius)
    return out


@functools.cache
def _uv(group: str) -> np.ndarray:
    """See `Garment.uv`."""
    sheet = _sheet(group)
    corners = sheet.neutral[sheet.triangles]
    on_arm = sheet.arm[sheet.triangles].mean(1) > 0.5
    on_leg = (sheet.along_leg[sheet.triangles].mean(1) > 0.12) & ~on_arm & (group == "helper-tights")
    rig = assets.rig()
    joints = rig.joints(assets.base_mesh().vertices)
    axis = np.where(on_leg, joints[rig.bone("calf_l"), 0], 0.0)[:, None] * np.where(corners.mean(1)[:, :1] > 0, 1, -1)
    trunk = np.arctan2(corners[..., 0] - axis, corners[..., 2])
    arm = np.arctan2(corners[..., 1] - corners[..., 1].mean(), corners[..., 2])
    angle = np.where(on_arm[:, None], arm, trunk)
    # A triangle that crosses the seam goes on beyond it.
    angle = np.where((np.ptp(angle, axis=1) > np.pi)[:, None] & (angle < 0), angle + 2 * np.pi, angle)
    radius = np.where(on_arm, 0.45, np.where(on_leg, 0.75, 1.2))[:, None]
    along = np.where(on_arm[:, None], -2.5 * sheet.along_arm[sheet.triangles], corners[..., 1])
    return (np.stack([angle * radius, along], -1) * _SCALE).reshape(-1, 2)


@dataclasses.dataclass(frozen=True)
class Garment:
    """A cut garment, as `wardrobe.Worn` something that lies on a body."""

    name: str
    cut: Cut
    label: int
    covered_above: float = np.inf  # up the trunk: from here on another garment lies over it
    label_right: int | None = None  # on the right side, where it is another one

    @property
    def _sheet(self) -> _Sheet:
        return sheet_of(self.cut.kind)

    @functools.cached_property
    def keep(self) -> np.ndarray:
        """The signed value [V]: cloth is where it is above 0."""
        sheet, cut = self._sheet, self.cut
        found = np.minimum((cut.waist - sheet.up) * _trunk(), (cut.leg - sheet.along_leg) * 4)
        found = np.minimum(found, _closed(sheet, cut)) if cut.kind == "skirt" else _kept(sheet, cut)
        return np.minimum(found, np.minimum((self.covered_above - sheet.up) * _trunk(), _ALL))

    @functools.cached_property
    def drawn(self) -> np.ndarray:
        """The triangles [t] that are drawn: those with cloth, and all around them, which bend its normals."""
        corners, met = self.triangles, np.zeros(len(self.keep), bool)
        met[corners[assets.any_corner(self.keep > 0, corners)]] = True
        return np.flatnonzero(assets.any_corner(met, corners))

    @property
    def used(self) -> np.ndarray:
        """The vertices [n] of all triangles, of those that are cut off, too."""
        return self._sheet.used

    def fit(self, body: np.ndarray) -> np.ndarray:
        """Its vertices [V, 3] on a body [19158, 3]."""
        sheet, cut = self._sheet, self.cut
        places = sheet.divided(body)
        if cut.kind in ("top", "belt"):
            return _widened(sheet, _hang(sheet, places, cut), body, cut, "arm")
        if cut.kind in ("trousers", "boots"):
            return _widened(sheet, places, body, cut, "leg")
        down = np.clip(sheet.along_leg, 0, 2)
        angle = np.arctan2(places[:, 0], places[:, 2])
        factor = 1 + 0.5 * cut.loose + cut.flare * down * (1 + 0.25 * np.sin(9 * angle) * np.clip(down, 0, 1))
        return np.stack([places[:, 0] * factor, places[:, 1], places[:, 2] * factor], 1)

    @property
    def weights(self) -> np.ndarray:
        return self._sheet.weights

    @property
    def triangles(self) -> np.ndarray:
        return self._sheet.triangles

    @property
    def labels(self) -> np.ndarray:
        right = self.label if self.label_right is None else self.label_right
        return np.where(self._sheet.on_left, self.label, right).astype(np.uint8)

    @property
    def uv(self) -> np.ndarray:
        """Texture coordinates [3 T, 2], every triangle's own: around trunk, arm or leg, and along it."""
        if self.cut.cloth is not None:
            return self.cut.cloth.uv(self)
        return _uv("helper-skirt" if self.cut.kind == "skirt" else "helper-tights")

    @property
    def triangles_uv(self) -> np.ndarray:
        return self._sheet.corners_uv

    @functools.cached_property
    def hides(self) -> np.ndarray:
        """The body's vertices that lie well below it."""
        if self.cut.kind == "skirt":
            return np.zeros(0, int)
        nearest = _nearest_on_tights()
        return np.flatnonzero(self.keep[: self._sheet.count][nearest] > 0.35)


@functools.cache
def _nearest_on_tights() -> np.ndarray:
    """The vertex of the tights that lies nearest to each of the body's [13380]."""
    body = assets.base_mesh().vertices[: assets.NUM_BODY]
    sheet = _sheet("helper-tights")
    own = sheet.neutral[: sheet.count]
    squares = (own**2).sum(1)
    parts = np.array_split(body, 8)
    return np.concatenate([np.argmin(squares - 2 * part @ own.T, 1) for part in parts])


def outfit(top: Cut | None, lower: Cut | None) -> list[Garment]:
    """A top over trousers or a skirt; a top and a skirt of the kind `dress` make one garment in two pieces."""
    found = []
    one_piece = lower is not None and lower.kind == "dress"
    if top is not None:
        label = "dress" if one_piece else "upper-clothes"
        found.append(Garment("dress/top" if one_piece else "top", top, segmentation.ID[label]))
    if lower is not None:
        over = np.inf if top is None else top.hem + 0.05
        label = "dress" if one_piece else "pants" if lower.kind == "trousers" else "skirt"
        kind = "trousers" if lower.kind == "trousers" else "skirt"
        cut = dataclasses.replace(lower, kind=kind)
        found.append(Garment("dress/skirt" if one_piece else kind, cut, segmentation.ID[label], over))
    return found


_SLEEVES, _TROUSERS, _SKIRTS = (0.0, 0.45, 0.6, 0.75, 1.2, 1.9), (0.55, 0.85, 1.4, 1.95), (0.5, 0.8, 1.1, 1.4, 1.7)


def sample(generator: np.random.Generator, gender: float, style: str) -> list[Garment]:
    """An outfit of `sample_cuts`."""
    return outfit(*sample_cuts(generator, gender, style))


def sample_cuts(
    generator: np.random.Generator, gender: float, style: str, free: float = styles.FREE
) -> tuple[Cut, Cut]:
    """A top, and trousers, shorts, a skirt or the skirt of a dress, of a style in `styles.STYLES`.

    Args: free: how often a choice follows no rule.
    """
    male, rules = gender > 0.5, styles.STYLES[style]
    uniform = lambda low, high: float(generator.uniform(low, high))  # noqa: E731
    pick = lambda *given: float(styles.choose(generator, *given, free)) + uniform(-0.04, 0.04)  # noqa: E731
    loose = uniform(0.08, 0.2) if male else uniform(0.04, 0.12)
    sleeve = pick(rules.sleeves, _SLEEVES)
    top = Cut(
        "top", sleeve=sleeve, hem=uniform(-0.18, -0.02), neck_depth=float(generator.choice([0.0, 0.1, 0.3, 0.6])),
        neck_width=uniform(0.68, 0.95), loose=loose, cling=uniform(0.1, 0.5), flare=uniform(0.02, 0.12),
    )  # fmt: skip
    kind = generator.random()
    if male or kind < (0.3 if rules.skirts else 0.85):
        leg = pick(rules.trousers, _TROUSERS)
        return top, Cut("trousers", leg=leg, loose=uniform(0.03, 0.1), flare=uniform(0.0, 0.06))
    length = pick(rules.skirts, _SKIRTS)
    skirt = Cut("skirt" if generator.random() < 0.5 else "dress", leg=length, flare=uniform(0.02, 0.3), waist=0.3)
    return dataclasses.replace(top, hem=0.18), skirt
