"""What else people wear and carry: bags, scarves, caps, sunglasses, belts, boots, tights and coats.

Small surfaces by rule. Those that cover the body are cut from its helper surfaces (`garments`); the others are grids of
points that are placed by the body's own joints and follow one bone. Sizes are in decimetres, by eye.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from vton_jax.catalogue import assets
from vton_jax.catalogue.garments import Cut, Garment
from vton_jax.core import segmentation

_ID = segmentation.ID


@dataclasses.dataclass(frozen=True)
class Accessory:
    """A grid of points that follows a bone, as `wardrobe.Worn` something that lies on a body."""

    name: str
    label: int
    bone: str
    rows: int
    columns: int  # a row closes to a ring
    place: Callable[[np.ndarray, np.ndarray], np.ndarray]  # body [19158, 3], joints [53, 3] -> [rows, columns, 3]
    hangs: bool = False  # straight down from the bone's joint, however that is turned

    def fit(self, body: np.ndarray) -> np.ndarray:
        """Its vertices [V, 3] on a body [19158, 3]."""
        return self.place(body, assets.rig().joints(body)).reshape(-1, 3)

    @functools.cached_property
    def weights(self) -> np.ndarray:
        found = np.zeros((self.rows * self.columns, len(assets.rig().bones)), np.float32)
        found[:, assets.rig().bone(self.bone)] = 1
        return found

    @functools.cached_property
    def triangles(self) -> np.ndarray:
        row, column = np.mgrid[: self.rows - 1, : self.columns].reshape(2, -1)
        beside = (column + 1) % self.columns
        a, b, c, d = row * self.columns + np.stack([column, beside, column + self.columns, beside + self.columns])
        return np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]).astype(np.int32)

    @property
    def labels(self) -> np.ndarray:
        return np.full(len(self.triangles), self.label, np.uint8)

    @property
    def uv(self) -> np.ndarray:
        row, column = np.mgrid[: self.rows, : self.columns].reshape(2, -1)
        return np.stack([column / self.columns, row / self.rows], -1)

    @property
    def triangles_uv(self) -> np.ndarray:
        return self.triangles

    @property
    def hides(self) -> np.ndarray:
        return np.zeros(0, int)


def _rings(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """How far from the top each row lies, 0 to pi, and where on its ring each column, 0 to 2 pi."""
    return np.meshgrid(np.linspace(0, np.pi, rows), np.arange(columns) * 2 * np.pi / columns, indexing="ij")


def _boxy(middle: np.ndarray, half: tuple[float, float, float], rows: int, columns: int) -> np.ndarray:
    """A box with round edges [rows, columns, 3]. Args: half: its half sides along x, y and z."""
    down, around = _rings(rows, columns)
    soft = lambda value: np.sign(value) * np.abs(value) ** 0.35  # noqa: E731
    wide = soft(np.sin(down))
    return middle + np.stack([wide * soft(np.cos(around)), soft(np.cos(down)), wide * soft(np.sin(around))], -1) * half


def _tube(path: np.ndarray, radius: float, columns: int) -> np.ndarray:
    """A tube [rows, columns, 3] about a path [rows, 3]."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(along, [0.3, 0.2, 1.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    angle = np.arange(columns)[None, :, None] * 2 * np.pi / columns
    return path[:, None] + radius * (np.cos(angle) * side[:, None] + np.sin(angle) * np.cross(along, side)[:, None])


def _joint(joints: np.ndarray, name: str) -> np.ndarray:
    return joints[assets.rig().bone(name)]


def _side_of_hips(body: np.ndarray, joints: np.ndarray, sign: float) -> np.ndarray:
    """The outermost point of the hips on one side (sign 1: left)."""
    height = _joint(joints, "thigh_l")[1] + 0.3
    skin = body[: assets.NUM_BODY]
    here = skin[(np.abs(skin[:, 1] - height) < 0.4) & (np.abs(skin[:, 0]) < 2.6)]
    return np.array([sign * np.abs(here[:, 0]).max(), height, here[:, 2].mean()])


def shoulder_bag(side: str, half: tuple[float, float, float], drop: float) -> list[Accessory]:
    """A bag at the hip and its strap over the same shoulder. Args: side: l or r. drop: below the hips."""
    sign = 1.0 if side == "l" else -1.0

    def bag(body, joints):
        hip = _side_of_hips(body, joints, sign)
        return _boxy(hip + [sign * (half[0] + 0.25), -drop, 0], half, 9, 16)

    def strap(body, joints):
        hip, shoulder = _side_of_hips(body, joints, sign), _joint(joints, f"upperarm_{side}")
        top = shoulder + [-sign * 0.35, 0.62, 0]
        end = hip + [sign * (half[0] + 0.25), half[1] - drop, 0]
        turn = np.linspace(-1, 1, 24)[:, None]
        down = np.abs(turn) ** 1.6
        depth = 1.05 * np.sin(np.pi * np.clip(turn, -1, 1)) * (1 - 0.6 * down)  # before and behind the body
        return _tube(top * (1 - down) + end * down + depth * [0, 0, 1], 0.13, 6)

    return [
        Accessory("bag", _ID["bag"], "spine_02", 9, 16, bag),  # as its strap, lest they part
        Accessory("bag/strap", _ID["bag"], "spine_02", 24, 6, strap),
    ]


def hand_bag(side: str, half: tuple[float, float, float]) -> list[Accessory]:
    """A bag that hangs from a hand. Args: half: its half sides; the longest one points ahead."""
    bone = f"middle_01_{side}"

    def bag(body, joints):
        return _boxy(_joint(joints, bone) - [0, half[1] + 0.8, 0], half, 9, 16)

    def handle(body, joints):
        turn = np.linspace(0, np.pi, 12)[:, None]
        path = np.cos(turn) * [0, 0, 0.7 * half[2]] - (0.9 * (1 - np.sin(turn)) + 0.05) * [0, 1.0, 0]
        return _tube(_joint(joints, bone) + path, 0.07, 6)

    return [
        Accessory("bag", _ID["bag"], bone, 9, 16, bag, hangs=True),
        Accessory("bag/strap", _ID["bag"], bone, 12, 6, handle, hangs=True),
    ]


def scarf(thick: float, ends: float) -> list[Accessory]:
    """A scarf around the neck, one end hanging in front. Args: ends: how long, 0 for none."""

    def ring(body, joints):
        neck = _joint(joints, "neck_01") + [0, 0.28, 0.12]
        angle = np.linspace(0, 2 * np.pi, 25)
        wave = 0.06 * np.sin(3 * angle)
        path = np.stack([0.72 * np.sin(angle), wave - 0.16 * np.cos(angle), 0.74 * np.cos(angle)], 1)
        return _tube(neck + path, thick, 10)

    def end(body, joints):
        neck, down = _joint(joints, "neck_01"), np.linspace(0, 1, 14)[:, None]
        chest = body[: assets.NUM_BODY]
        rows = neck[1] + 0.1 - ends * down[:, 0]
        front = [chest[(np.abs(chest[:, 1] - y) < 0.35) & (np.abs(chest[:, 0] - 0.45) < 0.5), 2].max() for y in rows]
        path = np.stack([0.35 + 0.2 * down[:, 0], rows, np.maximum(front, 0.6) + 0.3], 1)
        flat = _tube(path, thick, 8) - path[:, None]
        return path[:, None] + flat * [1.3, 1, 0.45]

    pieces = [Accessory("scarf", _ID["scarf"], "spine_03", 25, 10, ring)]
    return [*pieces, Accessory("scarf/end", _ID["scarf"], "spine_03", 14, 8, end)] if ends else pieces


def sunglasses(size: float) -> list[Accessory]:
    """Two dark glasses, and what holds them. Args: size: half the width of one."""

    def glasses(body, joints):
        mesh = assets.base_mesh()
        eyes = [body[np.unique(mesh.part(f"helper-{side}-eye"))] for side in "rl"]
        middles = np.stack([eye.mean(0) for eye in eyes])
        ahead = max(eye[:, 2].max() for eye in eyes) + 0.09
        across = np.linspace(-1, 1, 33)
        spread = np.abs(middles[1, 0] - middles[0, 0]) / 2
        x = across * (spread + size)
        lens = np.sqrt(np.clip(1 - ((np.abs(x) - spread) / size) ** 2, 0, 1))
        half = np.maximum(0.78 * size * lens, 0.035)
        away = 0.30 * across**4
        height = middles[:, 1].mean() - 0.02
        return np.stack([np.stack([x, height + sign * half, ahead - away], 1) for sign in (1, -1)])

    return [_Strip("sunglasses", _ID["sunglasses"], "head", 2, 33, glasses)]


class _Strip(Accessory):
    """A grid whose rows do not close."""

    @functools.cached_property
    def triangles(self) -> np.ndarray:
        row, column = np.mgrid[: self.rows - 1, : self.columns - 1].reshape(2, -1)
        a = row * self.columns + column
        b, c, d = a + 1, a + self.columns, a + self.columns + 1
        return np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]).astype(np.int32)


def cap(lowest: float, room: float) -> list[Accessory]:
    """A knitted cap. Args: lowest: how far below the crown it reaches; room: over the skull."""

    def shape(body, joints):
        head = body[: assets.NUM_BODY]
        crown = head[:, 1].max()
        skull = head[head[:, 1] > crown - 1.3]
        middle = np.array([0, crown - lowest, (skull[:, 2].max() + skull[:, 2].min()) / 2])
        half = np.array([np.abs(skull[:, 0]).max() + room, lowest + room, np.ptp(skull[:, 2]) / 2 + room])
        down, around = np.meshgrid(np.linspace(0, 0.5 * np.pi, 9), np.arange(20) * 2 * np.pi / 20, indexing="ij")
        ahead = np.sin(down) * np.cos(around)
        points = np.stack([np.sin(down) * np.sin(around), np.cos(down), ahead], -1) * half
        points[..., 1] += 0.22 * ahead  # it sits on the back of the head
        return middle + points

    return [Accessory("cap", _ID["hat"], "head", 9, 20, shape)]


def belt() -> list[Garment]:
    return [Garment("belt", Cut("belt", waist=0.16, loose=0.17), _ID["belt"])]


def boots(height: float) -> list[Garment]:
    """Boots that come with shoes. Args: height: where along the leg they begin, 1 being the knee."""
    cut = Cut("boots", leg=height, loose=0.07, flare=0.02)
    return [Garment("boots", cut, _ID["left-shoe"], label_right=_ID["right-shoe"])]


def tights() -> list[Garment]:
    return [Garment("tights", Cut("trousers", leg=2.1, waist=0.1, loose=0.0, flare=0.0), _ID["pants"])]


def coat(top: Cut, length: float, gap: float) -> list[Garment]:
    """A jacket or a coat over a top. Args: length: along the leg, 0 for a jacket; gap: half of what stands open."""
    label = _ID["upper-clothes"]
    loose, flare = top.loose + 0.28, top.flare + 0.1
    cut = Cut("top", 1.93, -0.22, neck_depth=0.5, neck_width=0.9, loose=loose, cling=0.1, flare=flare, open=gap)
    if not length:
        return [Garment("coat", cut, label)]
    skirt = Cut("skirt", leg=length, flare=0.1, waist=0.3, loose=0.3, open=gap)
    return [Garment("coat", dataclasses.replace(cut, hem=0.16), label), Garment("coat/skirt", skirt, label)]


@dataclasses.dataclass(frozen=True)
class Chances:
    """Of each accessory where it can be: women's and men's. In CCP's training photos, of women mostly, 68% show a bag,
    7% a scarf, 31% glasses, 11% a hat, 20% a belt, 6% boots, 42% a coat, jacket or cardigan and 14% tights."""

    bag: tuple[float, float] = (0.65, 0.3)
    scarf: tuple[float, float] = (0.2, 0.2)
    sunglasses: tuple[float, float] = (0.3, 0.2)
    cap: tuple[float, float] = (0.25, 0.12)  # of those with short hair
    belt: tuple[float, float] = (0.4, 0.4)
    boots: tuple[float, float] = (0.1, 0.05)


COATS, TIGHTS = 0.5, 0.3  # of those whose lower garment is exchanged wear one; of those who keep a skirt


CHANCES = Chances()


def sample(generator: np.random.Generator, gender: float, *, short_hair: bool, kind: str) -> list[Accessory | Garment]:
    """What somebody carries and wears besides clothes.

    Args: short_hair: a cap goes over it. kind: of the garment that is exchanged: a belt counts as a lower one
    (`segmentation.GARMENT_LABELS`) and is worn where an upper one is, and a scarf, which would hide a top, where a
    lower one is; `exchanges.layered` has it there, too.
    """
    uniform, found = lambda low, high: float(generator.uniform(low, high)), []
    chosen = {field.name: generator.random() < getattr(CHANCES, field.name)[int(gender > 0.5)]
              for field in dataclasses.fields(CHANCES)}  # fmt: skip
    if chosen["bag"]:
        side, half = "lr"[generator.integers(2)], (uniform(0.3, 0.6), uniform(0.8, 1.6), uniform(0.9, 1.8))
        in_hand = generator.random() < 0.35
        found += hand_bag(side, half) if in_hand else shoulder_bag(side, half, uniform(0.0, 1.6))
    if chosen["scarf"] and kind == "lower":
        found += sample_scarf(generator)
    if chosen["sunglasses"]:
        found += sunglasses(uniform(0.24, 0.34))
    if chosen["cap"] and short_hair:
        found += cap(uniform(0.75, 1.0), uniform(0.14, 0.24))
    if chosen["belt"] and kind == "upper":
        found += belt()
    if chosen["boots"]:
        found += boots(float(generator.choice([0.9, 1.15, 1.5])) + uniform(-0.05, 0.05))
    return found


def sample_scarf(generator: np.random.Generator) -> list[Accessory]:
    uniform = lambda low, high: float(generator.uniform(low, high))  # noqa: E731
    return scarf(uniform(0.28, 0.42), uniform(2.0, 4.5) if generator.random() < 0.6 else 0.0)


def sample_coat(generator: np.random.Generator, top: Cut) -> list[Garment]:
    """Over a top."""
    return coat(top, float(generator.choice([0.0, 0.0, 0.5, 1.0, 1.4])), float(generator.uniform(0.15, 0.7)))


def sample_around(generator: np.random.Generator, cuts: tuple[Cut, Cut], kind: str) -> list[Garment]:
    """A coat or tights for somebody in a top and what is below, of whom a garment of type `kind` is exchanged: only
    where they neither hide it nor are of its type."""
    if kind == "lower" and generator.random() < COATS:
        return sample_coat(generator, cuts[0])
    if kind == "upper" and cuts[1].kind == "skirt" and generator.random() < TIGHTS:
        return tights()
    return []
