"""Who: identities, what they wear, how they stand, where they are. Plain pytrees of numbers, sampled from keys.

Conventions: lengths are in body heights (a person is 1 high, feet at 0); colours are RGB in [0, 1]; angles in radians.
Every field is an array of shape [] or as noted, so that whole populations are sampled and rendered under `vmap`.
The world is right-handed: x to the picture's right, y up, z towards the camera.
"""

import math

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

HAIR_STYLES = ("short", "bob", "long", "bun", "ponytail")
PATTERNS = ("plain", "stripes", "pinstripes", "checks", "dots", "print")
BACKGROUNDS = ("white", "plain", "cluttered")
# Sleeve lengths as a fraction of the whole arm (shoulder to wrist).
SLEEVELESS, SHORT_SLEEVE, LONG_SLEEVE = 0.0, 0.36, 0.97


@flax.struct.dataclass
class Identity:
    """Build, skin, face and hair of one person."""

    girth: jax.Array  # overall thickness, around 1
    shoulders: jax.Array  # shoulder width factor
    hips: jax.Array  # hip width factor
    waist: jax.Array
    legs: jax.Array  # fraction of the leg in the body height, around 1
    skin: jax.Array  # [3]
    hair: jax.Array  # [3]
    hair_style: jax.Array  # index in HAIR_STYLES
    eyes: jax.Array  # [3]
    lips: jax.Array  # [3]
    face_width: jax.Array
    beard: jax.Array  # 0 or 1


@flax.struct.dataclass
class Garment:
    """One piece: its cloth and its cut. Which fields matter depends on where it is worn."""

    pattern: jax.Array  # index in PATTERNS
    colours: jax.Array  # [2, 3]: ground and figure
    pattern_scale: jax.Array  # period in body heights
    text: jax.Array  # index of the print's lettering
    sleeve: jax.Array  # fraction of the arm covered
    hem: jax.Array  # upper: below the hip line; skirt, dress, trousers: fraction of the leg covered
    neck_width: jax.Array
    neck_depth: jax.Array
    neck_v: jax.Array  # 1 for a V neckline
    fit: jax.Array  # distance of the cloth from the skin
    flare: jax.Array  # of skirts and dresses


@flax.struct.dataclass
class Outfit:
    """`upper` is a T-shirt or long sleeve, or the dress where `dress` is 1; `lower` is a skirt or trousers."""

    upper: Garment
    lower: Garment
    dress: jax.Array  # 1: `upper` is a dress and there is no lower garment
    skirt: jax.Array  # 1: the lower garment is a skirt, 0: trousers
    shoes: jax.Array  # [3]
    shoe_height: jax.Array


@flax.struct.dataclass
class Pose:
    """Joint angles and where the person stands in the frame. Left and right are the person's own; index 0 is left."""

    yaw: jax.Array  # 0 faces the camera, positive turns to the person's left
    lean: jax.Array
    sway: jax.Array
    head_yaw: jax.Array
    head_pitch: jax.Array
    shoulder_flex: jax.Array  # [2] forwards
    shoulder_spread: jax.Array  # [2] sideways
    elbow: jax.Array  # [2] bend
    forearm_turn: jax.Array  # [2] turns the bent forearm across the body
    hip_flex: jax.Array  # [2]
    hip_spread: jax.Array  # [2]
    knee: jax.Array  # [2]
    x: jax.Array  # frame position of the mid-hip, fractions of the frame's width from its middle
    y: jax.Array  # of the frame's height, from the default
    zoom: jax.Array  # body height over 0.84 of the frame's height


@flax.struct.dataclass
class Scene:
    background: jax.Array  # index in BACKGROUNDS
    wall: jax.Array  # [3]
    floor: jax.Array  # [3]
    clutter: jax.Array  # [6, 8]: box centre xy, half size xy, colour, kind
    light: jax.Array  # [3] direction towards the light
    ambient: jax.Array  # 0..1; 1 is light without shading


_SKINS = np.array(
    [(0.98, 0.86, 0.77), (0.93, 0.76, 0.63), (0.84, 0.64, 0.49), (0.71, 0.50, 0.36), (0.53, 0.36, 0.25),
     (0.36, 0.24, 0.17)],
    dtype=np.float32,
)  # fmt: skip
_HAIRS = np.array(
    [(0.10, 0.08, 0.07), (0.22, 0.13, 0.08), (0.40, 0.24, 0.12), (0.62, 0.42, 0.20), (0.82, 0.68, 0.42),
     (0.55, 0.20, 0.10), (0.62, 0.62, 0.64)],
    dtype=np.float32,
)  # fmt: skip
NUM_TEXTS = 24


class Draws:
    """Random numbers for one thing, all drawn at once: hundreds of separate draws would take a minute to compile."""

    def __init__(self, key: jax.Array, count: int = 64):
        self._numbers = jax.random.uniform(key, (count,), minval=1e-6, maxval=1 - 1e-6)
        self._normals = jnp.sqrt(2.0) * jax.lax.erf_inv(2 * self._numbers - 1)
        self._used = 0

    def _next(self, numbers: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        first, self._used = self._used, self._used + math.prod(shape)
        if self._used > numbers.shape[0]:
            raise ValueError(f"{self._used} draws asked of {numbers.shape[0]}")
        return jax.lax.slice(numbers, (first,), (self._used,)).reshape(shape)

    def fraction(self, shape: tuple[int, ...] = ()) -> jax.Array:
        """Uniform in (0, 1)."""
        return self._next(self._numbers, shape)

    def uniform(self, low, high, shape: tuple[int, ...] = ()) -> jax.Array:
        return low + (high - low) * self.fraction(shape)

    def normal(self, shape: tuple[int, ...] = ()) -> jax.Array:
        return self._next(self._normals, shape)

    def chance(self, probability: float) -> jax.Array:
        return self.fraction() < probability

    def index(self, count: int, weights=None) -> jax.Array:
        """An index below `count`, by `weights` (which sum to 1) where given."""
        bounds = np.cumsum(np.asarray([1 / count] * count if weights is None else weights, np.float32))
        return (self.fraction() > bounds[:-1]).sum(dtype=jnp.int32)


def _colour(draws: Draws) -> jax.Array:
    """A cloth colour: hue anywhere, with greys, blacks and whites as common as they are in wardrobes."""
    hue = draws.fraction() * 6 + jnp.array([0.0, 4.0, 2.0])
    pure = jnp.clip(jnp.abs(hue % 6 - 3) - 1, 0, 1)
    saturation = jnp.array([0.0, 0.35, 0.65, 0.9])[draws.index(4)]
    value = draws.uniform(0.12, 0.97)
    return value * (1 - saturation * (1 - pure)) + 0.02 * draws.normal((3,))


def sample_identity(key: jax.Array) -> Identity:
    draws = Draws(key)
    skin = jnp.asarray(_SKINS)[draws.index(len(_SKINS))]
    hair = jnp.asarray(_HAIRS)[draws.index(len(_HAIRS))]
    broad = draws.fraction()
    style = draws.index(len(HAIR_STYLES))
    return Identity(
        girth=draws.uniform(0.85, 1.2),
        shoulders=0.92 + 0.2 * broad,
        hips=1.12 - 0.2 * broad,
        waist=draws.uniform(0.85, 1.08),
        legs=draws.uniform(0.95, 1.05),
        skin=jnp.clip(skin + 0.03 * draws.normal((3,)), 0.05, 1),
        hair=jnp.clip(hair + 0.03 * draws.normal((3,)), 0.02, 1),
        hair_style=style,
        eyes=jnp.array([[0.15, 0.1, 0.06], [0.2, 0.4, 0.6], [0.2, 0.4, 0.2]])[draws.index(3)],
        lips=jnp.clip(skin * jnp.array([0.85, 0.5, 0.5]), 0, 1),
        face_width=draws.uniform(0.92, 1.08),
        beard=(draws.chance(0.3) & (style == 0)).astype(jnp.float32),
    )


def sample_garment(key: jax.Array, *, where: str) -> Garment:
    """A garment for `where`: 'upper', 'dress', 'skirt' or 'trousers'."""
    draws = Draws(key)
    ground, figure = _colour(draws), _colour(draws)
    # The figure must be seen: push its brightness away from the ground's.
    close = jnp.abs(figure.mean() - ground.mean()) < 0.3
    figure = jnp.where(close, jnp.where(ground.mean() > 0.5, figure * 0.35, 1 - (1 - figure) * 0.35), figure)
    sleeves = jnp.array([SLEEVELESS, SHORT_SLEEVE, 0.62, LONG_SLEEVE])
    if where == "upper":
        sleeve = sleeves[draws.index(4, (0.15, 0.4, 0.1, 0.35))]
        hem = draws.uniform(0.0, 0.055)
    else:
        sleeve = sleeves[draws.index(4, (0.4, 0.35, 0.05, 0.2))]
        low, high = {"dress": (0.35, 0.85), "skirt": (0.3, 0.85), "trousers": (0.3, 1.0)}[where]
        hem = draws.uniform(low, high)
        if where == "trousers":
            hem = jnp.where(draws.chance(0.75), 0.97, jnp.clip(hem, 0.4, 0.75))
    with_print = (0.2, 0.16, 0.1, 0.18, 0.16, 0.2)
    without = (0.4, 0.15, 0.15, 0.18, 0.12, 0.0)
    return Garment(
        pattern=draws.index(len(PATTERNS), with_print if where in ("upper", "dress") else without),
        colours=jnp.clip(jnp.stack([ground, figure]), 0.02, 0.98),
        pattern_scale=draws.uniform(0.028, 0.06),
        text=draws.index(NUM_TEXTS),
        sleeve=jnp.clip(sleeve + jnp.where(sleeve > 0, draws.uniform(-0.05, 0.03), 0.0), 0, 1),
        hem=hem,
        neck_width=draws.uniform(0.035, 0.06),
        neck_depth=draws.uniform(0.02, 0.085),
        neck_v=draws.chance(0.35).astype(jnp.float32),
        fit=draws.uniform(0.006, 0.02),
        flare=draws.fraction(),
    )


def each(function, *arguments) -> list:
    """The function of several things, traced once: a program of half the operations compiles in half the time."""
    found, count = jax.vmap(function)(*arguments), len(jax.tree.leaves(arguments)[0])
    return [jax.tree.map(lambda a, i=i: a[i], found) for i in range(count)]


def _choose(flag: jax.Array, yes, no):
    return jax.tree.map(lambda a, b: jnp.where(flag, a, b), yes, no)


def sample_outfit(key: jax.Array) -> Outfit:
    keys = jax.random.split(key, 5)
    draws = Draws(keys[0])
    dress, skirt = draws.chance(0.3), draws.chance(0.4)
    return Outfit(
        upper=_choose(dress, sample_garment(keys[1], where="dress"), sample_garment(keys[2], where="upper")),
        lower=_choose(skirt, sample_garment(keys[3], where="skirt"), sample_garment(keys[4], where="trousers")),
        dress=dress.astype(jnp.float32),
        skirt=skirt.astype(jnp.float32),
        shoes=jnp.clip(_colour(draws), 0.02, 0.98),
        shoe_height=draws.fraction(),
    )


def exchange(wearer: Outfit, donor: Outfit, garment_type: jax.Array) -> Outfit:
    """What `wearer` wears after receiving the donor's garment: the counterfactual outfit.

    Args: `garment_type`, an index in `segmentation.GARMENT_TYPES`. Where the donor wears a dress, or the type is one or
    an outfit, the whole outfit is taken; shoes always stay.
    A wearer of a dress who receives a lower garment keeps nothing above that is known: the donor's whole outfit too.
    """
    whole = (garment_type >= 2) | (donor.dress > 0.5) | (wearer.dress > 0.5)
    upper = whole | (garment_type == 0)
    lower = whole | (garment_type == 1)
    return wearer.replace(
        upper=_choose(upper, donor.upper, wearer.upper),
        lower=_choose(lower, donor.lower, wearer.lower),
        dress=jnp.where(whole, donor.dress, wearer.dress),
        skirt=jnp.where(lower, donor.skirt, wearer.skirt),
    )


def sample_scene(key: jax.Array) -> Scene:
    draws = Draws(key, 80)
    wall = 0.45 + 0.5 * draws.fraction() + 0.08 * draws.normal((3,))
    boxes = [
        draws.fraction((6, 2)),
        draws.uniform(0.04, 0.22, (6, 2)),
        draws.uniform(0.1, 0.95, (6, 3)),
        draws.fraction((6, 1)),
    ]
    azimuth = draws.uniform(-1.2, 1.2)
    light = jnp.stack([jnp.sin(azimuth), draws.uniform(0.2, 0.9), jnp.cos(azimuth)])
    return Scene(
        background=draws.index(len(BACKGROUNDS), (0.5, 0.25, 0.25)),
        wall=jnp.clip(wall, 0.2, 1),
        floor=jnp.clip(wall * draws.uniform(0.6, 0.95), 0.1, 1),
        clutter=jnp.concatenate(boxes, axis=1),
        light=light / jnp.linalg.norm(light),
        ambient=draws.uniform(0.45, 0.7),
    )


def even_scene() -> Scene:
    """White background and light without shading: colours are the cloth's own."""
    zero = jnp.zeros(())
    return Scene(
        background=zero.astype(jnp.int32), wall=jnp.ones(3), floor=jnp.ones(3), clutter=jnp.zeros((6, 8)),
        light=jnp.array([0.0, 0.0, 1.0]), ambient=jnp.ones(()),
    )  # fmt: skip
