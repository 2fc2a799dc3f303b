"""Natural stances: standing, walking, hands on hips, arms crossed; each a function of a few numbers.

Angles are in radians; directions as in skeleton.py. Chosen by eye.
"""

import dataclasses
import functools

import numpy as np

from vton_jax.catalogue import assets
from vton_jax.catalogue.skeleton import SIDES, Aim, Pose, rotation

_SIGN = {"l": 1.0, "r": -1.0}
_X, _Y, _Z = np.eye(3)
# Fingers: how far each closes towards the middle one, and how far its three joints bend, over the hand's curl.
_SPREAD = {"index": -0.16, "middle": -0.03, "ring": 0.10, "pinky": 0.24}
_BEND = {"01": 0.8, "02": 1.1, "03": 0.8}


def _euler(pitch: float = 0.0, yaw: float = 0.0, roll: float = 0.0) -> np.ndarray:
    return rotation(_Y, yaw) @ rotation(_X, pitch) @ rotation(_Z, roll)


@functools.lru_cache(maxsize=8)
def _hands(curl: float, together: float = 1.0, thumb: float = 0.25) -> dict[str, np.ndarray]:
    """Fingers bent about the hand's own axis, as in a hand at rest; nobody may write to them.

    Args: together: how much of `_SPREAD` they close. thumb: how far it lies by them.
    """
    rig = assets.rig()
    joints, turns = rig.joints(assets.base_mesh().vertices), {}
    for side in SIDES:
        at = {name: joints[rig.bone(f"{name}_{side}")] for name in ("index_01", "pinky_01", "middle_01", "hand")}
        aside, ahead = at["pinky_01"] - at["index_01"], at["middle_01"] - at["hand"]
        ahead = ahead / np.linalg.norm(ahead)
        palm = np.cross(ahead, aside)
        palm = -palm * np.sign(palm[1]) / np.linalg.norm(palm)  # it looks down at rest
        across = np.cross(ahead, palm)
        sign = np.sign(np.cross(palm, ahead) @ aside)
        for finger, spread in _SPREAD.items():
            for joint, bend in _BEND.items():
                turns[f"{finger}_{joint}_{side}"] = rotation(across, curl * bend)
            first = f"{finger}_01_{side}"
            turns[first] = rotation(palm, -together * spread * sign) @ turns[first]
        turns[f"thumb_01_{side}"] = rotation(palm, thumb * sign) @ rotation(across, 0.15)
    return turns


def _merged(pose: Pose, aims: dict | None = None, turns: dict | None = None) -> Pose:
    return dataclasses.replace(pose, aims={**pose.aims, **(aims or {})}, turns={**pose.turns, **(turns or {})})


def stand(
    arms: float = 0.16, elbows: float = 0.22, legs: float = 0.03, lean: float = 0.0, head: tuple = (0.0, 0.0, 0.0)
) -> Pose:
    """Upright, arms hanging. Args: arms: how far out; elbows: how bent; legs: how far apart; lean: of the trunk aside;
    head: pitch, yaw, roll."""
    aims, turns = {}, dict(_hands(0.35))
    for side, sign in _SIGN.items():
        turns[f"clavicle_{side}"] = rotation(_Z, -sign * 0.10)
        aims[f"upperarm_{side}"] = Aim((sign * arms, -1, -0.02), sign * 0.35)
        aims[f"lowerarm_{side}"] = Aim((sign * (arms - 0.06), -1, 0.06 + elbows), sign * 0.3)
        aims[f"hand_{side}"] = Aim((sign * (arms - 0.1), -1, 0.06 + elbows))
        aims[f"thigh_{side}"] = Aim((sign * legs, -1, 0.02))
        aims[f"calf_{side}"] = Aim((sign * legs * 0.6, -1, -0.05))
        aims[f"foot_{side}"] = Aim((sign * 0.22, -0.55, 1))
    turns |= {"head": _euler(*head), "spine_02": _euler(roll=lean)}
    return Pose(aims, turns)


def walk(phase: float, stride: float = 1.0, arms: float = 0.16) -> Pose:
    """One moment of a walk; `phase` runs from 0 to 2 pi over two steps."""
    aims = {}
    for side, sign in _SIGN.items():
        at = phase + (0 if side == "l" else np.pi)
        hip, knee = 0.38 * stride * np.sin(at), 0.06 + 0.75 * stride * max(0.0, np.sin(at + 2.2))
        arm = -0.38 * stride * np.sin(at)
        shin = hip - knee
        aims[f"thigh_{side}"] = Aim((0, -np.cos(hip), np.sin(hip)))
        aims[f"calf_{side}"] = Aim((0, -np.cos(shin), np.sin(shin)))
        aims[f"foot_{side}"] = Aim((sign * 0.15, -0.5 - 0.9 * float(np.clip(knee - 0.3, 0, 1)), 1))
        aims[f"upperarm_{side}"] = Aim((sign * arms, -np.cos(arm), np.sin(arm) - 0.03), sign * 0.35)
        for bone, bent, out, twist in (("lowerarm", 0.35, 0.06, 0.3), ("hand", 0.4, 0.1, 0.0)):
            direction = sign * (arms - out), -np.cos(arm + bent), np.sin(arm + bent)
            aims[f"{bone}_{side}"] = Aim(direction, sign * twist)
    turns = {
        "spine_02": _euler(yaw=-0.08 * np.sin(phase) * stride),
        "pelvis": _euler(yaw=0.06 * np.sin(phase) * stride, roll=0.02 * np.cos(phase)),
    }
    return _merged(stand(arms), aims, turns)


def arms_crossed() -> Pose:
    aims = {
        "upperarm_l": Aim((0.42, -1, 0.22), 0.3), "lowerarm_l": Aim((-1, 0.12, 0.52), 0.8),
        "hand_l": Aim((-1, 0.1, 0.25), 0.6), "upperarm_r": Aim((-0.42, -1, 0.3), -0.3),
        "lowerarm_r": Aim((1, 0.02, 0.75), -0.8), "hand_r": Aim((1, 0.1, 0.2), -0.6),
    }  # fmt: skip
    return _merged(stand(), aims)


def hand_on_hip(sides: tuple[str, ...] = ("l",), head: tuple = (0.05, 0.2, -0.05)) -> Pose:
    """One hand or both on the hips."""
    aims = {}
    for side in sides:
        sign = _SIGN[side]
        aims[f"upperarm_{side}"] = Aim((sign * 0.75, -0.8, -0.2), sign * 0.4)
        aims[f"lowerarm_{side}"] = Aim((-sign * 0.62, -0.75, 0.42), sign * 0.6)
        aims[f"hand_{side}"] = Aim((-sign * 0.7, -0.55, 0.2), sign * 0.3)
    return _merged(stand(), aims, {"spine_02": _euler(roll=0.05), "head": _euler(*head)})


def with_quiet_hands(pose: Pose) -> Pose:
    """The pose with fingers closed and bent, as where hands hang and do nothing."""
    return _merged(pose, turns=_hands(0.5, 2.0, 0.5))


# What a stance says: the directions of limbs, then of the trunk (up) and of the face.
STANCE = (
    *(f"{bone}_{side}" for bone in ("upperarm", "lowerarm", "hand", "thigh", "calf", "foot") for side in SIDES),
    "trunk", "head",
)  # fmt: skip
_OTHER_SIDE = [STANCE.index(name[:-1] + {"l": "r", "r": "l"}[name[-1]] if "_" in name else name) for name in STANCE]
_STANCES = 0.75  # of the poses are people's own stances
_TWISTS = {"upperarm": 0.35, "lowerarm": 0.3, "hand": 0.0}  # of arms, as in `stand`


@functools.cache
def stances() -> np.ndarray:
    """Stances of people, unit vectors [N, 14, 3] in the order of `STANCE`; see data/catalogue/stances.py."""
    found = assets.load("stances")["stances"].astype(np.float64)
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def stance(lies: np.ndarray) -> Pose:
    """A pose from directions [14, 3] in the order of `STANCE`, which need not be unit vectors."""
    given, aims = dict(zip(STANCE, lies, strict=True)), {}
    for name, direction in given.items():
        bone, _, side = name.partition("_")
        if side:
            aims[name] = Aim(tuple(map(float, direction)), _SIGN[side] * _TWISTS.get(bone, 0.0))
    trunk, head = given["trunk"], given["head"]
    lean, bend = np.arctan2(trunk[0], trunk[1]), np.arctan2(trunk[2], trunk[1])
    turns = {"spine_02": _euler(pitch=bend, roll=-lean), "head": _euler(yaw=float(np.arctan2(head[0], head[2])))}
    return _merged(stand(), aims, turns)


def sample_stance(generator: np.random.Generator) -> Pose:
    """One of people's stances or its mirror image, a little otherwise."""
    lies = stances()[generator.integers(len(stances()))]
    if generator.random() < 0.5:
        lies = lies[_OTHER_SIDE] * [-1, 1, 1]
    return stance(lies + generator.normal(0, 0.05, lies.shape))


def sample_pose(generator: np.random.Generator) -> Pose:
    """A stance seen from anywhere: yaw all round."""
    kind, yaw = generator.random(), float(generator.uniform(-np.pi, np.pi))
    if generator.random() < _STANCES:
        return sample_stance(generator).turned(yaw)
    head = tuple(float(generator.normal(0, spread)) for spread in (0.06, 0.25, 0.04))
    if kind < 0.4:
        pose = walk(float(generator.uniform(0, 2 * np.pi)), float(generator.uniform(0.5, 1.0)))
    elif kind < 0.7:
        arms, elbows = float(generator.uniform(0.12, 0.45)), float(generator.uniform(0.05, 0.5))
        legs, lean = float(generator.uniform(0.0, 0.12)), float(generator.normal(0, 0.03))
        pose = stand(arms, elbows, legs, lean)
    elif kind < 0.85:
        pose = hand_on_hip((("l",), ("r",), ("l", "r"))[generator.integers(3)])
    else:
        pose = arms_crossed()
    return _merged(pose, turns={"head": _euler(*head)}).turned(yaw)
