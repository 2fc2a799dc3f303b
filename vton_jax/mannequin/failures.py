"""Cases that each meet one known difficulty of try-on, with the counterfactual truth, for the failure suites.

All else is calm: plain cloth in colours that are neither skin nor hair, a white background, short hair, arms that hang,
people who face the camera. Beside the frames of `cases`, each case has `without_image` and `without_segmentation`: the
same scene without its difficulty, which is what a system shows that does not notice it, and tells where to look.

suite               what is met                                           without it
sleeve_swap         long sleeves become short ones or none, and back      the user's own clothes in the target pose
hem_swap            a long skirt, dress or trousers become short, back    the user's own clothes in the target pose
lettering           a print with lettering                                the same garment without its print
arm_over_body       a bare forearm before the trunk                       the same with hanging arms
back_view           the target is seen from behind                        the same seen from the front
hair_over_garment   long hair hangs over the garment                      the same with short hair

Conventions: as in `cases`; here NumPy, one case at a time, before they are drawn.
"""

import functools
import itertools

import jax
import numpy as np

from vton_jax.mannequin import cases as mannequin_cases
from vton_jax.mannequin import motion, people, render, sampler

SUITES = ("sleeve_swap", "hem_swap", "lettering", "arm_over_body", "back_view", "hair_over_garment")
_APART = 2_000_000  # folded into the split's key: the cases of the suite and its clips count from 0 and 1,000,000
_CLOTH = np.array(
    [(0.12, 0.35, 0.80), (0.80, 0.10, 0.40), (0.05, 0.52, 0.28), (0.45, 0.12, 0.62), (0.85, 0.80, 0.10),
     (0.50, 0.78, 0.95)],
    np.float32,
)  # fmt: skip
# (worn, donated), by the number of the case.
_SLEEVES = (
    (people.LONG_SLEEVE, people.SHORT_SLEEVE), (people.SHORT_SLEEVE, people.LONG_SLEEVE),
    (people.LONG_SLEEVE, people.SLEEVELESS), (people.SLEEVELESS, people.LONG_SLEEVE),
)  # fmt: skip
_HEMS = tuple(itertools.product(((0.85, 0.35), (0.35, 0.85)), ("skirt", "dress", "trousers")))
_SHORT_HAIR, _BOB, _LONG_HAIR = (people.HAIR_STYLES.index(name) for name in ("short", "bob", "long"))
_PLAIN, _PRINT = people.PATTERNS.index("plain"), people.PATTERNS.index("print")


def _set(tree, **values):
    """The pytree with other values, of the shapes and types of the old ones: one compiled program draws all cases."""
    like = {name: np.asarray(getattr(tree, name)) for name in values}
    return tree.replace(**{n: np.broadcast_to(np.asarray(v, like[n].dtype), like[n].shape) for n, v in values.items()})


def _dressed(outfit: people.Outfit, colour: int, sleeve: float, legs: float = 0.95, lower: str = "trousers"):
    """A plain outfit; `legs`: the fraction of the legs that its lower garment or dress covers."""
    dress = lower == "dress"
    colours = [np.stack([_CLOTH[(colour + step) % len(_CLOTH)]] * 2) for step in (0, 1)]
    upper = _set(outfit.upper, pattern=_PLAIN, colours=colours[0], sleeve=sleeve, hem=legs if dress else 0.03)
    below = _set(outfit.lower, pattern=_PLAIN, colours=colours[1], hem=legs, fit=0.01)
    return _set(outfit, dress=dress, skirt=lower == "skirt").replace(upper=upper, lower=below)


def _calm_pose(pose: people.Pose, yaw: float) -> people.Pose:
    """The pose with hanging arms, turned by `yaw`."""
    return _set(
        pose, yaw=yaw, shoulder_flex=-0.6 * pose.hip_flex, shoulder_spread=0.2, elbow=0.2, forearm_turn=0.2,
        head_yaw=0.5 * pose.head_yaw,
    )  # fmt: skip


def _calm(key: jax.Array, index: int) -> dict:
    """The parts of a case without any difficulty: a T-shirt in exchange for another."""
    parts = {"flat_pose": _set(motion.flat_pose(), shoulder_spread=0.65)}
    sway = 0.25 * np.sin(2.4 * index)  # a little to either side
    names = (
        ("user", "worn", "scene", "input_pose", 2, -sway),
        ("other", "donated", "donor_scene", "donor_pose", 0, 0.5 * sway),
        ("model", "clothes", "pose_scene", "output_pose", 4, sway),
    )
    for number, (who, outfit, scene, pose, colour, yaw) in enumerate(names):
        sampled = jax.device_get(_sampled(jax.random.fold_in(key, number)))
        parts |= {
            who: _set(sampled[0], hair_style=_SHORT_HAIR),
            outfit: _dressed(sampled[1], index + colour, people.SHORT_SLEEVE),
            scene: _set(sampled[2], background=people.BACKGROUNDS.index("white")),
            pose: _calm_pose(sampled[3], yaw),
        }
    # Both kinds of donors meet every variant of a suite.
    flat = np.bool_((index + index // 4) % 2)
    return parts | {"garment_type": np.int32(0), "garment": np.int32(0), "pattern": np.int32(_PLAIN), "flat": flat}


def _sleeve_swap(parts: dict, index: int) -> dict:
    worn, donated = _SLEEVES[index % len(_SLEEVES)]
    parts["worn"] = _dressed(parts["worn"], index + 2, worn)
    parts["donated"] = _dressed(parts["donated"], index, donated)
    return parts | {"without": (parts["user"], parts["worn"], parts["output_pose"])}


def _hem_swap(parts: dict, index: int) -> dict:
    (worn, donated), kind = _HEMS[index % len(_HEMS)]
    parts["worn"] = _dressed(parts["worn"], index + 2, people.SHORT_SLEEVE, worn, kind)
    parts["donated"] = _dressed(parts["donated"], index, people.SHORT_SLEEVE, donated, kind)
    kind = np.int32(1 if kind != "dress" else 2 if parts["flat"] else 3)
    return parts | {"garment_type": kind, "without": (parts["user"], parts["worn"], parts["output_pose"])}


def _lettering(parts: dict, index: int) -> dict:
    plain = parts["donated"]
    ground = _CLOTH[index % len(_CLOTH)]
    ink = np.full(3, 0.96 if ground.mean() < 0.5 else 0.06)
    upper = _set(plain.upper, pattern=_PRINT, colours=np.stack([ground, ink]), neck_depth=0.03)
    parts["donated"] = plain.replace(upper=upper)
    blank = plain.replace(upper=_set(upper, pattern=_PLAIN))
    return parts | {"without": (parts["user"], _received(parts, blank), parts["output_pose"])}


def _arm_over_body(parts: dict, index: int) -> dict:
    arms = ((True, False), (False, True), (True, True))[index % 3]
    hanging = parts["output_pose"]
    choose = lambda across, name: np.where(arms, across, getattr(hanging, name))  # noqa: E731
    parts["output_pose"] = _set(
        hanging,
        shoulder_flex=choose(0.45, "shoulder_flex"),
        shoulder_spread=choose(0.1, "shoulder_spread"),
        elbow=choose(1.45, "elbow"),
        forearm_turn=choose(1.0, "forearm_turn"),
    )
    return parts | {"without": (parts["user"], _received(parts), hanging)}


def _back_view(parts: dict, index: int) -> dict:
    parts["user"] = _set(parts["user"], hair_style=_BOB)  # which covers the whole head from behind
    front = parts["output_pose"]
    parts["output_pose"] = _set(front, yaw=front.yaw + np.pi)
    return parts | {"without": (parts["user"], _received(parts), front)}


def _hair_over_garment(parts: dict, index: int) -> dict:
    # Hair lies over the shoulder blades: photo and target show the same side of it.
    user, turned = parts["user"], np.pi - (1 if index % 2 else -1) * (0.4 + 0.15 * (index % 4))
    for name in ("input_pose", "output_pose"):
        parts[name] = _set(parts[name], yaw=parts[name].yaw + turned)
    parts["user"] = _set(user, hair_style=_LONG_HAIR)
    return parts | {"without": (user, _received(parts), parts["output_pose"])}


def _received(parts: dict, donated: people.Outfit | None = None) -> people.Outfit:
    """What the user wears in the truth, or would wear if it were `donated` that is given."""
    return people.exchange(parts["worn"], parts["donated"] if donated is None else donated, parts["garment_type"])


_BUILD = dict(
    zip(SUITES, (_sleeve_swap, _hem_swap, _lettering, _arm_over_body, _back_view, _hair_over_garment), strict=True)
)


@jax.jit
def _sampled(key: jax.Array) -> tuple:
    keys = jax.random.split(key, 4)
    identity, outfit = people.sample_identity(keys[0]), people.sample_outfit(keys[1])
    return identity, outfit, people.sample_scene(keys[2]), motion.sample_pose(keys[3])


@functools.partial(jax.jit, static_argnames=("size", "samples"))
def _drawn(parts: dict, size: tuple[int, int], samples: int) -> dict:
    return mannequin_cases.shoot_parts(parts, size, samples)


def draw_failures(
    count: int, size: tuple[int, int] = render.SIZE, seed: int = 0, suites: tuple[str, ...] = SUITES, samples: int = 2
) -> dict:
    """`count` cases of every suite as stacked NumPy arrays, and `suite` [B], their names; of the test split.

    Case i of a suite is the same for any count and whichever other suites are drawn.
    """
    root = jax.random.fold_in(sampler.people_key(seed, "test"), _APART)
    drawn = []
    for name, index in itertools.product(suites, range(count)):
        key = jax.random.fold_in(jax.random.fold_in(root, SUITES.index(name)), index)
        parts = _BUILD[name](_calm(key, index), index)
        parts["more"] = {"without": jax.device_get(parts.pop("without"))}
        drawn.append(jax.device_get(_drawn(parts, tuple(size), samples)))
    cases = {name: np.stack([case[name] for case in drawn]) for name in drawn[0]}
    return mannequin_cases.with_masks(cases) | {"suite": np.repeat(np.array(suites), count)}
