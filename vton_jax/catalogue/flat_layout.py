"""Where a garment's surface lies when the garment lies flat: the plane in which photos are laid onto clothes.

Conventions: flat coordinates (x, y) are decimetres, x to the wearer's left, y upwards, as the neutral body stands. The
outline is that of the neutral body; between the sides x is spread by the arc length round the body, so that a photo
that is stretched over it shows no streaks where the body turns away. `across` says where round the trunk, arm or leg a
vertex lies: 0 in the middle of the front, 1 and -1 at the seams, beyond them on the back, 2 and -2 in its middle.
"""

import dataclasses
import functools

import cv2
import numpy as np

from vton_jax.catalogue import assets
from vton_jax.catalogue.garments import Cut, Garment, outfit, sheet_of
from vton_jax.catalogue.rasteriser import rasterise
from vton_jax.catalogue.skeleton import SIDES

PIXELS = 20  # a decimetre, of the mask of a cut that lies flat
_ROWS, _ANGLES = 96, 96
_MIDDLE_WIDTH = 0.12  # decimetres: of a slice in which the trunk's sides are looked for
# Heights of the neutral body, in decimetres, and places along its limbs, between which one layout turns into another.
_TRUNK_TO_SHOULDERS = (3.6, 4.8)
_LEGS_TO_TRUNK = (0.2, 1.0)
_ALONG_LEGS = (0.2, 0.5)
_SHOULDER_TO_ARM = (0.05, 0.45)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Of the vertices of a garment's sheet."""

    across: np.ndarray  # [V]
    front: np.ndarray  # [V, 2], flat coordinates for triangles of the front; sensible to a little beyond the seams
    back: np.ndarray  # [V, 2], the same for triangles of the back, as seen through the front


def _step(value: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """0 below the first bound, 1 above the second, smooth between."""
    part = np.clip((value - bounds[0]) / (bounds[1] - bounds[0]), 0, 1)
    return part * part * (3 - 2 * part)


def _extreme(position: np.ndarray, value: np.ndarray, at: np.ndarray, width: float) -> np.ndarray:
    """The index [len(at)] of the largest value within `width` of each position."""
    near = np.abs(at[:, None] - position) < width
    return np.argmax(np.where(near, value, -np.inf), 1)


def _round_trunk(places: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(across [V], half width [V]) of places round a trunk or a skirt, of which `own` have no arms."""
    trunk = places[own]
    heights = np.linspace(trunk[:, 1].min(), trunk[:, 1].max(), _ROWS)
    side = _extreme(trunk[:, 1], np.abs(trunk[:, 0]), heights, _MIDDLE_WIDTH)
    smooth = lambda values: cv2.GaussianBlur(values.reshape(-1, 1), (0, 0), 2.0)[:, 0]  # noqa: E731
    half, middle = smooth(np.abs(trunk[side, 0])), smooth(trunk[side, 2])
    at = lambda values: np.interp(places[:, 1], heights, values)  # noqa: E731
    angle = np.arctan2(places[:, 0], places[:, 2] - at(middle))
    # Radii on a grid of heights and angles of one half, the other being its mirror; then lengths along each row.
    turned, radius = np.abs(angle[own]), np.hypot(trunk[:, 0], trunk[:, 2] - at(middle)[own])
    angles = np.linspace(0, np.pi, _ANGLES)
    near = np.exp(-0.5 * ((heights[:, None] - trunk[:, 1]) / 0.15) ** 2)
    towards = np.exp(-0.5 * ((angles[:, None] - turned) / 0.12) ** 2)
    grid = (near @ (towards * radius).T) / np.maximum(near @ towards.T, 1e-12)
    x, z = grid * np.sin(angles), grid * np.cos(angles)
    length = np.pad(np.cumsum(np.hypot(np.diff(x, axis=1), np.diff(z, axis=1)), axis=1), ((0, 0), (1, 0)))
    seam = np.argmin(np.abs(angles - np.pi / 2))
    front, back = length[:, seam : seam + 1], length[:, -1:] - length[:, seam : seam + 1]
    fraction = np.where(angles <= angles[seam], length / front, 1 + (length - front) / back)
    row = np.clip((places[:, 1] - heights[0]) / (heights[1] - heights[0]), 0, _ROWS - 1 - 1e-6)
    column = np.clip(np.abs(angle) / angles[1], 0, _ANGLES - 1 - 1e-6)
    top, left = row.astype(int), column.astype(int)
    down, right = row - top, column - left
    upper = fraction[top, left] * (1 - right) + fraction[top, left + 1] * right
    lower = fraction[top + 1, left] * (1 - right) + fraction[top + 1, left + 1] * right
    return np.where(places[:, 0] >= 0, 1, -1) * (upper * (1 - down) + lower * down), at(half)


def _round_limb(places: np.ndarray, chain: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Where round a limb of joints [3, 3] places [V, 3] lie [V], in quarter turns: 0 in front, 1 above (of an arm that
    is held out) or outside (of a leg), -1 below or inside."""
    first, second, third = chain
    s = along[:, None]
    axis = np.where(s < 1, second - first, third - second)
    axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)
    centre = np.where(s < 1, first + (second - first) * s, second + (third - second) * (s - 1))
    horizontal = abs(chain[1, 1] - chain[0, 1]) < 2 * abs(chain[1, 0] - chain[0, 0])
    reference = np.array([0.0, 1.0, 0.0]) if horizontal else np.array([np.sign(chain[0, 0]), 0.0, 0.0])
    up = reference - axis * (axis @ reference)[:, None]
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    ahead = np.cross(axis, up)
    ahead *= np.where(ahead[:, 2:] < 0, -1, 1)
    off = places - centre
    return np.arctan2((off * up).sum(1), (off * ahead).sum(1)) / (np.pi / 2)


def _folded(across: np.ndarray) -> np.ndarray:
    """The place on the front behind which one on the back lies."""
    return np.where(across >= 0, 1, -1) * (2 - np.abs(across))


@functools.cache
def _chain(limb: str, side: str) -> np.ndarray:
    bones = ("upperarm", "lowerarm", "hand") if limb == "arm" else ("thigh", "calf", "foot")
    rig = assets.rig()
    return rig.joints(assets.base_mesh().vertices)[[rig.bone(f"{bone}_{side}") for bone in bones]]


@functools.cache
def neutral_layout(kind: str) -> tuple[Layout, np.ndarray]:
    """The layout of a kind's sheet, sleeves as the neutral body holds its arms, and how much of each vertex turns with
    its arm [V]. Args: kind: `top` (a dress' top, too), `trousers` or `skirt`."""
    sheet = sheet_of(kind)
    places, x = sheet.neutral, sheet.neutral[:, 0]
    if kind == "skirt":
        across, half = _round_trunk(places, np.ones(len(places), bool))
        flat = lambda s: np.stack([s * half, places[:, 1]], 1)  # noqa: E731
        return Layout(across, flat(across), flat(_folded(across))), np.zeros(len(places))
    across, half = _round_trunk(places, (sheet.arm < 0.12) & (places[:, 1] < 6))
    planar = _step(places[:, 1], _TRUNK_TO_SHOULDERS)
    planar = np.maximum(planar, _step(sheet.arm, (0.1, 0.5)))
    if kind == "trousers":  # the trunk ends where the legs part
        planar = np.maximum(planar, 1 - _step(places[:, 1], _LEGS_TO_TRUNK))
    flat = {}
    for name, s in (("front", across), ("back", _folded(across))):
        flat[name] = np.stack([(1 - planar) * s * half + planar * x, places[:, 1]], 1)
    for side in SIDES:
        own = sheet.left == (side == "l")
        if kind == "trousers":
            _lay_leg(sheet, own, side, flat, across)
        else:
            _lay_arm(sheet, own, side, flat, across)
    return Layout(across, flat["front"], flat["back"]), sheet.arm * (kind == "top")


def _lay_arm(sheet, own: np.ndarray, side: str, flat: dict[str, np.ndarray], across: np.ndarray) -> None:
    """Lays one sleeve straight, in place."""
    chain = _chain("arm", side)
    own = own & (sheet.arm > 0.02)
    along, places = sheet.along_arm[own], sheet.neutral[own]
    round_it = _round_limb(places, chain, along)
    direction = (chain[1] - chain[0])[:2] / np.linalg.norm((chain[1] - chain[0])[:2])
    normal = np.array([-direction[1], direction[0]]) * (1 if side == "l" else -1)  # upwards
    bones = np.linalg.norm(np.diff(chain, axis=0), axis=1)
    length = np.where(along < 1, along * bones[0], bones[0] + (along - 1) * bones[1])
    off = np.abs((places[:, :2] - chain[0, :2]) @ normal)
    s = np.linspace(0, 2.3, 40)
    solid = sheet.arm[own] > 0.6
    widest = np.array([off[solid & (np.abs(along - a) < 0.08)].max(initial=0.3) for a in np.minimum(s, 0.9)])
    lower = np.array([np.linalg.norm(places - chain[1], axis=1)[solid & (np.abs(along - 1) < 0.1)].mean()])
    radius = np.interp(along, s, np.where(s > 0.9, np.minimum(widest, lower), widest))
    part = (_step(along, _SHOULDER_TO_ARM) * _step(sheet.arm[own], (0.3, 0.9)))[:, None]
    for name, where in (("front", round_it), ("back", _folded(round_it))):
        laid = chain[0, :2] + length[:, None] * direction + (radius * where)[:, None] * normal
        flat[name][own] = (1 - part) * flat[name][own] + part * laid
    arm = own.copy()
    arm[own] = sheet.arm[own] > 0.5
    across[arm] = round_it[sheet.arm[own] > 0.5]


def _lay_leg(sheet, own: np.ndarray, side: str, flat: dict[str, np.ndarray], across: np.ndarray) -> None:
    """Lays one trouser leg, in place."""
    own = own & (sheet.along_leg > 0) & (sheet.arm < 0.3)
    along, places, sign = sheet.along_leg[own], sheet.neutral[own], 1 if side == "l" else -1
    round_it = _round_limb(places, _chain("leg", side), along)
    s = np.linspace(0, 2.2, 60)
    out = sign * places[:, 0]
    outer = np.array([out[np.abs(along - a) < 0.06].max() for a in s])
    inner = np.array([out[np.abs(along - a) < 0.06].min() for a in s])
    outer, inner = (np.interp(along, s, cv2.GaussianBlur(v.reshape(-1, 1), (0, 0), 1.5)[:, 0]) for v in (outer, inner))
    part = _step(along, _ALONG_LEGS)
    for name, where in (("front", round_it), ("back", _folded(round_it))):
        laid = sign * ((outer + inner) / 2 + (outer - inner) / 2 * where)
        flat[name][own, 0] = (1 - part) * flat[name][own, 0] + part * laid
    leg = own.copy()
    leg[own] = part > 0.5
    across[leg] = round_it[part > 0.5]


@functools.lru_cache(maxsize=8)
def layout(kind: str, arms: tuple[float, float] = (0.0, 0.0)) -> Layout:
    """The layout of a kind's sheet. Args: arms: radians by which the left and the right sleeve are turned upwards from
    how the neutral body holds its arms."""
    laid, turns = neutral_layout(kind)
    if kind != "top" or not any(arms):
        return laid
    left = sheet_of(kind).left
    found = {"front": laid.front.copy(), "back": laid.back.copy()}
    for side, angle in zip(SIDES, arms, strict=True):
        own = left == (side == "l")
        joint, angle = _chain("arm", side)[0, :2], angle if side == "l" else -angle
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        for name, flat in found.items():
            off = flat[own] - joint
            found[name][own] += turns[own, None] * (off @ turn.T - off)
    return dataclasses.replace(laid, **found)


def pieces(cuts: tuple[Cut | None, Cut | None]) -> list[Garment]:
    """The garments of a top's and a lower part's cuts, nothing lying over them."""
    return [dataclasses.replace(piece, covered_above=np.inf) for piece in outfit(*cuts)]


def front_triangles(garment: Garment, laid: Layout) -> np.ndarray:
    """Which triangles of a garment [T] are its front's."""
    a, b, c = garment.triangles.T
    across = np.abs(laid.across)
    return (across[a] + across[b] + across[c]) / 3 < 1


def outline_mask(cuts: tuple[Cut | None, Cut | None], arms: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """The front of a garment that lies flat: mask uint8 [H, W], and the flat coordinates [2] of its pixel (0, 0)."""
    worn = [(piece, layout(piece.cut.kind, arms)) for piece in pieces(cuts)]
    shown = [laid.front[np.unique(piece.triangles[(piece.keep[piece.triangles] > 0).any(1)])] for piece, laid in worn]
    low, high = np.concatenate(shown).min(0) - 0.3, np.concatenate(shown).max(0) + 0.3
    size = tuple(np.ceil((high - low)[::-1] * PIXELS).astype(int))
    mask = np.zeros(size, np.uint8)
    for piece, laid in worn:
        points = np.stack([(laid.front[:, 0] - low[0]) * PIXELS, (high[1] - laid.front[:, 1]) * PIXELS], 1)
        points = np.pad(points, ((0, 0), (0, 1)), constant_values=1.0)
        front = piece.triangles[front_triangles(piece, laid)]
        mask |= rasterise(points, front, size, both_sides=True, keep=piece.keep).covered.astype(np.uint8)
    return mask, np.array([low[0], high[1]])


def joints(arms: tuple[float, float]) -> dict[str, np.ndarray]:
    """Where the neutral body's joints lie in flat coordinates [2], by their names: of trunk, arms and legs."""
    found = {}
    for side, name, angle in zip(SIDES, ("left", "right"), (arms[0], -arms[1]), strict=True):
        arm, leg = _chain("arm", side), _chain("leg", side)
        along = (arm[1] - arm[0])[:2] / np.linalg.norm((arm[1] - arm[0])[:2])
        along = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ along
        lengths = np.cumsum([0, *np.linalg.norm(np.diff(arm, axis=0), axis=1)])
        for joint, length in zip(("shoulder", "elbow", "wrist"), lengths, strict=True):
            found[f"{name}-{joint}"] = arm[0, :2] + length * along
        found |= {f"{name}-{joint}": place[:2] for joint, place in zip(("hip", "knee", "ankle"), leg, strict=True)}
    return found | {"neck": (found["left-shoulder"] + found["right-shoulder"]) / 2}
