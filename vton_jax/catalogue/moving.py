"""People who move before a standing camera: heads that turn, nod, speak and blink, and bodies that step, turn and bend.

Conventions: a clip shows one person in one place, as `region` says: `face` (the head as `keypoints.head_box` frames
it) or `body` (all of somebody). Frames are square, uint8 RGB [T, H, W, 3]. Everything is a smooth function of the time
in seconds, and a clip a function of its split and number. The truth::

    points   float32 [T, P, 2], where fixed spots of the body's surface lie, (x, y) in pixels, out of the picture too
    seen     bool [T, P], whether the spot, or cloth that lies on it, is what the picture shows there
    mask     bool [T, H, W], where the person is
    angles   float32 [T, 3], how far the head is turned against the camera: yaw, pitch, roll in radians; yaw to the
             picture's right, pitch down, roll towards the picture's left
    joints   float32 [T, 18, 2], `core.keypoints`' joints
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from vton_jax.catalogue import (
    assets,
    camera,
    characters,
    examples,
    exchanges,
    garments,
    motion,
    people,
    photo_cloth,
    pictures,
    poses,
    scenes,
    skeleton,
    styles,
    textures,
    views,
    wardrobe,
)
from vton_jax.catalogue.camera import Camera
from vton_jax.core import keypoints

REGIONS = ("face", "body")
NUM_POINTS = 96
FRAME_RATE = 10.0  # of clips that are shown
_FIRST = 5_000_000  # number of the first character: nobody of other pictures
_NECK = {"face": 5.2, "body": -99.0}  # how high the spots lie at least on the neutral body, in decimetres
_ON_IT = 0.4  # decimetres that cloth or hair may lie above a spot and still move with it
_X, _Y, _Z = np.eye(3)
# What mouths do when they speak: how often it is part of it, and how far it goes.
_SPEECH = {
    "mouth-open": (1.0, 0.6), "mouth-protusion": (0.5, 0.6), "mouth-retraction": (0.4, 0.6),
    "mouth-part-later": (0.4, 0.5), "mouth-pursing": (0.4, 0.5), "mouth-eversion": (0.3, 0.4),
}  # fmt: skip
_BROWS = ("eyebrows-left-up", "eyebrows-right-up", "eyebrows-left-inner-up", "eyebrows-right-inner-up")


@dataclasses.dataclass(frozen=True)
class Ranges:
    """What motion is drawn from, in radians where nothing else is said. By eye."""

    yaw: tuple[float, float] = (0.25, 0.8)  # of heads: how far they turn to either side
    pitch: tuple[float, float] = (0.06, 0.3)
    roll: tuple[float, float] = (0.03, 0.2)
    facing: float = 0.15  # deviation of where somebody looks in the mean
    sway: float = 0.06  # of the trunk
    neck: float = 0.4  # the neck's part in a head's turn
    turn: tuple[float, float] = (0.1, 1.0)  # of bodies, to either side
    stances: int = 4  # that a body takes in turn
    change: float = 1.2  # seconds from one to the next
    aside: float = 0.06  # of the picture's width that a body moves to either side
    face_scale: tuple[float, float] = (0.85, 1.15)  # of the head's frame
    face_shift: float = 0.05  # of its side
    body_fraction: tuple[float, float] = (0.72, 0.9)  # of the picture's height that a body fills


RANGES = Ranges()


@dataclasses.dataclass(frozen=True)
class Wave:
    """A smooth function of the time about 0: three sines."""

    amplitudes: tuple[float, ...]
    rates: tuple[float, ...]  # radians a second
    phases: tuple[float, ...]

    def at(self, time: float) -> float:
        parts = zip(self.amplitudes, self.rates, self.phases, strict=True)
        return float(sum(a * np.sin(rate * time + phase) for a, rate, phase in parts))


def _wave(generator: np.random.Generator, amplitude: float, fastest: float = 0.5) -> Wave:
    """Args: fastest: of its sines, in turns a second."""
    parts = generator.dirichlet([2.0] * 3) * amplitude
    rates = 2 * np.pi * fastest * generator.uniform(0.3, 1.0, 3)
    return Wave(tuple(map(float, parts)), tuple(map(float, rates)), tuple(map(float, generator.uniform(0, 6.28, 3))))


# --------------------------------------------------------------------------------------------------------------- heads


@dataclasses.dataclass(frozen=True)
class HeadMotion:
    """How a head moves, and what its face does."""

    facing: float
    turns: tuple[Wave, Wave, Wave]  # yaw, pitch, roll
    sway: tuple[Wave, Wave]
    speech: dict[str, Wave]
    smile: Wave
    brows: Wave
    blinks: tuple[float, float]  # seconds between two, and when the first begins

    def angles(self, time: float) -> np.ndarray:
        """Yaw, pitch and roll [3] of the head against the trunk."""
        return np.array([wave.at(time) for wave in self.turns])

    def pose(self, time: float) -> skeleton.Pose:
        still, (yaw, pitch, roll) = poses.stand(), self.angles(time)
        lean, bend = (wave.at(time) for wave in self.sway)
        part = RANGES.neck
        turns = {
            "neck_01": _turn(part * yaw, part * pitch, part * roll),
            "head": _turn((1 - part) * yaw, (1 - part) * pitch, (1 - part) * roll),
            "spine_02": _turn(0.3 * lean, bend, lean),
        }
        return dataclasses.replace(still, turns=still.turns | turns, yaw=self.facing)

    def expression(self, time: float) -> dict[str, float]:
        found = {name: max(0.0, wave.at(time)) for name, wave in self.speech.items()}
        found["mouth-corner-puller"] = max(0.0, self.smile.at(time))
        found |= dict.fromkeys(_BROWS, max(0.0, self.brows.at(time)))
        period, first = self.blinks
        apart = (time - first + 0.5 * period) % period - 0.5 * period
        closed = float(np.clip(1.6 - abs(apart) / 0.12, 0, 1))
        found |= {"eye-left-closure": closed, "eye-right-closure": closed}
        return {f"expression/{name}": value for name, value in found.items() if value > 0.01}


def _turn(yaw: float, pitch: float, roll: float) -> np.ndarray:
    return skeleton.rotation(_Y, yaw) @ skeleton.rotation(_X, pitch) @ skeleton.rotation(_Z, roll)


def sample_head_motion(generator: np.random.Generator) -> HeadMotion:
    r = RANGES
    turns = tuple(_wave(generator, float(generator.uniform(*limits)) * 1.5) for limits in (r.yaw, r.pitch, r.roll))
    speech = {name: _wave(generator, 1.4 * most, 2.0)
              for name, (often, most) in _SPEECH.items() if generator.random() < often}  # fmt: skip
    return HeadMotion(
        float(r.facing * generator.normal()), turns, tuple(_wave(generator, r.sway) for _ in range(2)), speech,
        _wave(generator, 1.0), _wave(generator, 0.8),
        (float(generator.uniform(1.2, 3.0)), float(generator.uniform(0, 2))),
    )  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- bodies


@dataclasses.dataclass(frozen=True)
class BodyMotion:
    """How a body moves: from stance to stance, turning, and from side to side."""

    stances: tuple[skeleton.Pose, ...]
    facing: float
    turn: Wave
    aside: Wave

    def pose(self, time: float) -> skeleton.Pose:
        place, part = divmod(time / RANGES.change, 1.0)
        one, two = (self.stances[(int(place) + step) % len(self.stances)] for step in (0, 1))
        part = part * part * (3 - 2 * part)
        return motion.between(one, two, part).turned(self.facing + self.turn.at(time))


def sample_body_motion(generator: np.random.Generator) -> BodyMotion:
    r = RANGES

    def stance():
        if generator.random() < 0.4:
            return poses.walk(float(generator.uniform(0, 2 * np.pi)), float(generator.uniform(0.4, 0.9)))
        return poses.sample_stance(generator)

    turn = _wave(generator, 1.5 * float(generator.uniform(*r.turn)), 0.3)
    stances = tuple(stance() for _ in range(r.stances))
    return BodyMotion(stances, float(2 * r.facing * generator.normal()), turn, _wave(generator, r.aside))


# --------------------------------------------------------------------------------------------------------------- clips


@functools.cache
def spots(region: str) -> np.ndarray:
    """The body's vertices [P] that are followed."""
    body = assets.base_mesh().vertices[: assets.NUM_BODY]
    shown = np.unique(assets.base_mesh().part("body"))
    found = shown[body[shown, 1] > _NECK[region]]
    generator, chosen = np.random.default_rng(0), [int(found[np.argmax(body[found, 2])])]
    found = generator.permutation(found)[:4000]
    nearest = np.full(len(found), np.inf)
    while len(chosen) < NUM_POINTS:  # the farthest from all that are chosen
        nearest = np.minimum(nearest, ((body[found] - body[chosen[-1]]) ** 2).sum(-1))
        chosen.append(int(found[np.argmax(nearest)]))
    return np.array(chosen)


@dataclasses.dataclass(frozen=True)
class Scene:
    """Somebody who moves, and where."""

    region: str
    person: people.Person
    skins: dict[str, np.ndarray]
    moves: HeadMotion | BodyMotion
    place: examples.Place

    def frame(self, time: float) -> dict[str, np.ndarray]:
        """The picture at a time, `image` uint8 [H, W, 3], with its truth."""
        person, size = self.person, self.place.ground.shape[:2]
        pose, eye = self.moves.pose(time), self.place.eye
        if isinstance(self.moves, HeadMotion):
            person = _with_expression(person, self.moves.expression(time))
        else:
            middle = eye.middle[0] + self.moves.aside.at(time) * size[1], eye.middle[1]
            eye = dataclasses.replace(eye, middle=middle)
        view = views.view_of(person, pose, eye, size)
        picture = pictures.shade(view, self.skins, self.place.light, self.place.ground)
        adds = None if self.place.taken is None else np.random.default_rng(self.place.taken)
        points = eye.project(view.places[spots(self.region)])
        return {
            "image": examples.exposed(adds, picture),
            "points": points[:, :2].astype(np.float32),
            "seen": _seen(view, points),
            "mask": view.raster.covered,
            "angles": _angles(self.person, pose),
            "joints": eye.project(view.joints)[:, :2].astype(np.float32),
        }


def _with_expression(person: people.Person, expression: dict[str, float]) -> people.Person:
    """Somebody with another face; what is worn stays as it was."""
    vertices = person.vertices.copy()
    vertices[: assets.NUM_VERTICES] += assets.expression_targets().blend(expression)
    return dataclasses.replace(person, vertices=vertices)


def _seen(view: views.View, points: np.ndarray) -> np.ndarray:
    height, width = view.raster.triangle.shape
    column, row = np.rint(points[:, :2]).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    depth = view.depth[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return inside & np.isfinite(depth) & (1 / np.maximum(points[:, 2], 1e-9) < depth + _ON_IT)


def _angles(person: people.Person, pose: skeleton.Pose) -> np.ndarray:
    """Yaw, pitch and roll [3] of the head."""
    rig = assets.rig()
    turn = skeleton.bone_matrices(rig.joints(person.body), pose)[rig.bone("head"), :, :3]
    front, up = turn @ _Z, turn @ _Y
    return np.float32([np.arctan2(front[0], front[2]), -np.arcsin(np.clip(front[1], -1, 1)), -np.arctan2(up[0], up[1])])


def _eye(generator: np.random.Generator, region: str, person: people.Person, size: tuple[int, int]) -> Camera:
    """A camera for the region."""
    r = RANGES
    if region == "body":
        fraction = float(generator.uniform(*r.body_fraction))
        limits = scenes.RANGES.distance, scenes.RANGES.height
        distance, height = (float(generator.uniform(*ends)) for ends in limits)
        eye = camera.frame(size, person.height, fraction=fraction, distance=distance, height=height)
        shift = np.clip(generator.normal(0, 0.02, 2), -0.03, 0.03) * size[0]
        return dataclasses.replace(eye, middle=(eye.middle[0] + float(shift[0]), eye.middle[1] + float(shift[1])))
    distance, height = float(generator.uniform(8, 25)), person.height * float(generator.uniform(0.85, 1.0))
    eye = Camera(100.0, distance, height, (0.0, 0.0))
    pose = dataclasses.replace(poses.stand(), yaw=0.0)
    joints = eye.project(views.view_of(person, pose, eye, (2, 2)).joints)[:, :2]
    left, upper, right, _ = keypoints.head_box(joints)
    scale = size[0] / (right - left) * float(generator.uniform(*r.face_scale))
    shift = np.clip(generator.normal(0, r.face_shift, 2), -0.1, 0.1) * size[0]
    middle = (np.array([left, upper]) + (right - left) / 2) * scale
    place = (np.array(size[::-1]) - 1) / 2 - middle + shift
    return Camera(100.0 * scale, distance, height, tuple(map(float, place)))


def scene(number: int, region: str, split: str, size: tuple[int, int], grounds: scenes.Grounds | None = None) -> Scene:
    """Clip `number` of a split. Args: grounds: photos of places. Raises: ValueError for an unknown split or region."""
    generator = np.random.default_rng([characters.SPLITS.index(split), REGIONS.index(region), number, 6])
    who = characters.character(_FIRST + number, split)
    style = styles.sample(generator)
    cuts = photo_cloth.sample(
        generator, garments.sample_cuts(generator, who.identity.gender, style), split, exchanges.PHOTO
    )
    worn = [*garments.outfit(*cuts), wardrobe.sample_shoes(generator), *who.hair]
    person = people.dress(who.identity, worn)
    skins = textures.sample_textures(generator, who.looks, person.layers, style) | photo_cloth.textures(person.worn)
    moves = sample_head_motion(generator) if region == "face" else sample_body_motion(generator)
    eye = _eye(generator, region, person, size)
    light = scenes.sample_light(generator)
    ground = scenes.sample_ground(generator, eye, size, grounds)
    return Scene(region, person, skins, moves, examples.Place(eye, light, ground, int(generator.integers(2**32))))


def draw_clip(one: Scene, times: Sequence[float]) -> dict[str, np.ndarray]:
    """A scene at some times: `frames` uint8 [T, H, W, 3], and the truth; see the module's docstring."""
    drawn = [one.frame(float(time)) for time in times]
    arrays = {name: np.stack([frame[name] for frame in drawn]) for name in drawn[0]}
    return {"frames": arrays.pop("image")} | arrays
