"""Who somebody is: an identity's numbers, and the body that they make.

A body is the neutral mesh plus targets. The coefficient of a macro target is the product of the weights of the words in
its name (MPFB, `macro.json`): gender, age, muscle, weight, height, proportions, cup, origin; local targets add faces
and measures. Adults only.
"""

import dataclasses
import functools
import itertools

import numpy as np

from vton_jax.catalogue import assets

ORIGINS = ("african", "asian", "caucasian")
_MUSCLE = ("minmuscle", "averagemuscle", "maxmuscle")
_WEIGHT = ("minweight", "averageweight", "maxweight")
_CUP = ("mincup", "averagecup", "maxcup")


@dataclasses.dataclass(frozen=True)
class Identity:
    """What a body looks like. Numbers run from 0 to 1; 0.5 is the middle of what the targets span."""

    gender: float = 0.5  # 0 female, 1 male
    age: float = 0.5  # 0.5 is 25 years, 1 is 90
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.5
    proportions: float = 0.5  # 1: as drawn figures have them
    cup: float = 0.5
    origins: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)  # parts of `ORIGINS`, whatever their sum
    local: tuple[tuple[str, float], ...] = ()  # further targets by their names


@dataclasses.dataclass(frozen=True)
class Ranges:
    """What identities are drawn from. From statistics of adults where a line says so, else by eye on 100 of them."""

    women: float = 0.55  # catalogues show more of them
    gender_spread: float = 0.06
    age: tuple[float, float] = (0.5, 0.85)  # 25 to about 70 years
    muscle: tuple[float, float, float, float] = (0.5, 0.13, 0.2, 0.9)  # mean, deviation, least, most
    weight: tuple[float, float, float, float] = (0.52, 0.15, 0.25, 1.0)
    height: tuple[float, float, float, float] = (0.5, 0.08, 0.35, 0.65)  # outside, heads are those of giants
    proportions: tuple[float, float] = (0.3, 1.0)
    cup: tuple[float, float, float, float] = (0.5, 0.2, 0.0, 1.0)
    origins: float = 0.6  # of the Dirichlet distribution: most are mainly of one
    local: float = 0.35  # deviation of a face's and a body's own measures
    largest_local: float = 0.9


RANGES = Ranges()


def _three(value: float, names: tuple[str, str, str]) -> dict[str, float]:
    """Weights of least, average and most, piecewise linear over 0, 0.5 and 1."""
    value = min(max(value, 0.0), 1.0)
    low, high = max(0.0, 1 - 2 * value), max(0.0, 2 * value - 1)
    return {names[0]: low, names[1]: 1 - low - high, names[2]: high}


def _ends(value: float, low: str, high: str) -> dict[str, float]:
    """Weights of two ends about a neutral middle."""
    return {low: max(0.0, 1 - 2 * value), high: max(0.0, 2 * value - 1)}


def coefficients(identity: Identity) -> dict[str, float]:
    """The weight of every target that an identity uses, by its name."""
    who = identity
    genders = {"female": 1 - who.gender, "male": who.gender}
    ages = {"young": min(1.0, 2 - 2 * who.age), "old": max(0.0, 2 * who.age - 1)}
    muscles, weights, cups = _three(who.muscle, _MUSCLE), _three(who.weight, _WEIGHT), _three(who.cup, _CUP)
    heights = _ends(who.height, "minheight", "maxheight")
    proportions = _ends(who.proportions, "uncommonproportions", "idealproportions")
    found: dict[str, float] = {}
    for (gender, of_gender), (age, of_age) in itertools.product(genders.items(), ages.items()):
        person = of_gender * of_age
        for origin, part in zip(ORIGINS, who.origins, strict=True):
            found[f"macrodetails/{origin}-{gender}-{age}"] = person * part / sum(who.origins)
        for (weight, of_weight), (muscle, of_muscle) in itertools.product(weights.items(), muscles.items()):
            build = f"{gender}-{age}-{muscle}-{weight}"
            found[f"macrodetails/universal-{build}"] = person * of_weight * of_muscle
        # The rest is there for average muscle alone; it then stands for all of them.
        for weight, of_weight in weights.items():
            build, amount = f"{gender}-{age}-averagemuscle-{weight}", person * of_weight
            for name, value in heights.items():
                found[f"macrodetails/height/{build}-{name}"] = amount * value
            for name, value in proportions.items():
                found[f"macrodetails/proportions/{build}-{name}"] = amount * value
            for name in (_CUP[0], _CUP[2]) if gender == "female" else ():
                found[f"breast/{build}-{name}-averagefirmness"] = amount * cups[name]
    for name, value in who.local:
        found[name] = found.get(name, 0.0) + value
    return {name: value for name, value in found.items() if value}


def shape(identity: Identity, expression: dict[str, float] | None = None) -> np.ndarray:
    """The body's vertices [19158, 3], helpers included, at rest: arms held out, palms down, standing at any height.

    Args: expression: weights of `assets.expression_targets`, by their names.
    """
    vertices = _at_rest(identity)
    return vertices + assets.expression_targets().blend(expression) if expression else vertices


@functools.lru_cache(maxsize=40)
def _at_rest(identity: Identity) -> np.ndarray:
    """A body without expression; nobody may write to it."""
    vertices = assets.base_mesh().vertices + assets.body_targets().blend(coefficients(identity))
    vertices.flags.writeable = False
    return vertices


@functools.cache
def _local_pairs() -> tuple[tuple[str, ...], ...]:
    """The local targets, as groups of ends of one measure; both eyes', cheeks' and ears' share a measure."""
    opposite = (("-decr", "-incr"), ("-down", "-up"), ("-concave", "-convex"), ("-in", "-out"))
    names = [name for name in assets.body_targets().names if not name.startswith(("macrodetails", "breast"))]
    groups: dict[str, list[str]] = {}
    for name in names:
        key = name.replace("/l-", "/").replace("/r-", "/")
        for low, high in opposite:
            key = key.removesuffix(low).removesuffix(high)
        groups.setdefault(key, []).append(name)
    return tuple(tuple(group) for group in groups.values())


def sample_identity(generator: np.random.Generator) -> Identity:
    """Somebody: adults of all builds and origins."""
    r = RANGES

    def normal(mean, deviation, least, most):
        return float(np.clip(generator.normal(mean, deviation), least, most))

    local = []
    for group in _local_pairs():
        value = float(np.clip(generator.normal(0, r.local), -r.largest_local, r.largest_local))
        ends = [name for name in group if name.endswith(("-decr", "-down", "-concave", "-in"))]
        others = [name for name in group if name not in ends]
        chosen = (ends if value < 0 else others) if ends else (others if value > 0 else [])
        local += [(name, abs(value)) for name in chosen]
    return Identity(
        gender=float(np.clip((generator.random() > r.women) + generator.normal(0, r.gender_spread), 0, 1)),
        age=float(generator.uniform(*r.age)),
        muscle=normal(*r.muscle),
        weight=normal(*r.weight),
        height=normal(*r.height),
        proportions=float(generator.uniform(*r.proportions)),
        cup=normal(*r.cup),
        origins=tuple(float(part) for part in generator.dirichlet([r.origins] * len(ORIGINS))),
        local=tuple(local),
    )
