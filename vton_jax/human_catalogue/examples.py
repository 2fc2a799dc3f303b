"""Try-on with its counterfactual truth: a user, a garment that another wears and that lies flat, the user in it.

Conventions: an example shows `input` (the user's photo), `output` (the user in the donor's garment, in another pose, in
the same place), `worn` (the donor) and `flat` (the garment alone; zeros where it cannot lie flat, as several pieces
cannot). Of each: `_image` uint8 [H, W, 3], `_segmentation` uint8 [H, W], `_keypoints` float32 [18, 2] and `_visible`
bool [18]. `worn_flow` and `flat_flow`, float32 [H, W, 2], lead from the output's garment to the worn and the flat one,
where they are `_flow_visible` bool [H, W]. `_yaw` float32 [], of the first three, says how far somebody is turned to
the picture's right, in radians. `sample` makes a Pose-and-Dress sample (`inputs.input_pipeline`) of it.
An example is a function of its split and number.
"""

import dataclasses

import numpy as np

from vton_jax.core import segmentation
from vton_jax.human_catalogue import (
    accessories,
    characters,
    garments,
    people,
    pictures,
    poses,
    scenes,
    styles,
    textures,
    views,
    wardrobe,
)
from vton_jax.human_catalogue.characters import SPLITS, Character
from vton_jax.human_catalogue.garments import Cut, Garment

EXAMPLES_OF_ONE = 15  # user: consecutive examples
CIRCLE = 32  # characters who lend each other clothes


@dataclasses.dataclass(frozen=True)
class Chances:
    """Of what an example shows."""

    upper: float = 0.5  # of those that exchange half an outfit, the upper half
    front: float = 0.6  # a photo shows the front
    white: float = 0.5  # what lies flat lies on white
    closest: tuple[float, float] = (1.9, 1.2)  # part of the picture's height that people fill: upper halves, others
    front_spread: float = 0.45  # radians


CHANCES = Chances()


@dataclasses.dataclass(frozen=True)
class _Exchange:
    """Who gives what to whom."""

    numbers: tuple[int, int]  # of user and donor
    user: Character
    donor: Character
    styles: tuple[str, str]  # the user's and the donor's
    own: list[Garment]
    kind: str  # one of `segmentation.GARMENT_TYPES`
    given: list[Garment]
    kept: list[Garment]  # of the user's
    donors_rest: list[Garment]
    extras: tuple[list, list]  # what both wear besides

    @property
    def given_names(self) -> list[str]:
        return [thing.name for thing in self.given]


def _exchanged(worn: tuple[Cut, Cut], given: tuple[Cut, Cut], upper: bool) -> tuple[str, list[Garment], list[Garment]]:
    """(garment type, what is given, what the user wears besides) of two outfits, each a top and what is below."""
    if "dress" in (worn[1].kind, given[1].kind):
        whole = garments.outfit(*given)
        return ("dress" if given[1].kind == "dress" else "outfit"), whole, []
    top, lower = garments.outfit(given[0], worn[1]) if upper else garments.outfit(worn[0], given[1])
    return ("upper", [top], [lower]) if upper else ("lower", [lower], [top])


def _exchange(generator: np.random.Generator, number: int, split: str) -> _Exchange:
    user = number // EXAMPLES_OF_ONE
    circle, place = divmod(user, CIRCLE)
    other = circle * CIRCLE + (place + int(generator.integers(1, CIRCLE))) % CIRCLE
    both = characters.character(user, split), characters.character(other, split)
    style, their_style = styles.sample(generator), styles.sample(generator)
    own = garments.sample_cuts(generator, both[0].identity.gender, style)
    theirs = garments.sample_cuts(generator, both[1].identity.gender, their_style)
    kind, given, kept = _exchanged(own, theirs, bool(generator.random() < CHANCES.upper))
    if kind == "lower":  # the donor's top reaches as far down as the user's, under which the given garment is cut
        theirs = dataclasses.replace(theirs[0], hem=own[0].hem), theirs[1]
    half = {"upper": 1, "lower": 0}.get(kind)
    extras = [_extras(generator, who, cuts, kind) for who, cuts in zip(both, (own, theirs), strict=True)]
    rest = [] if half is None else [garments.outfit(*theirs)[half]]
    return _Exchange((user, other), *both, (style, their_style), garments.outfit(*own), kind, given, kept, rest, tuple(extras))


def _extras(generator: np.random.Generator, who: Character, cuts: tuple[Cut, Cut], kind: str) -> list:
    """What somebody wears besides an outfit of cuts: shoes and hair, and what `accessories` has."""
    short = all(name.startswith("short") for name in who.hair)
    besides = accessories.sample(generator, who.identity.gender, short_hair=short, kind=kind)
    around = accessories.sample_around(generator, cuts, kind)
    return [wardrobe.sample_shoes(generator), *who.hair, *around, *besides]


def _pose(generator: np.random.Generator):
    pose, front = poses.sample_pose(generator), generator.random() < CHANCES.front
    return pose.turned(float(CHANCES.front_spread * generator.normal())) if front else pose


def _photo(generator, view: views.View, skins: dict, light, ground: np.ndarray, **options) -> np.ndarray:
    picture = scenes.finish(generator, pictures.shade(view, skins, light, ground, **options))
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def about(number: int, split: str = "train") -> dict[str, float | int | str]:
    """What an example is, without drawing it: the numbers of user and donor, and what groups of them there are."""
    exchange = _exchange(np.random.default_rng([SPLITS.index(split), number]), number, split)
    who = exchange.user
    hair = "none" if not who.hair else "short" if who.hair[0].startswith("short") else "long"
    return {
        "user": exchange.numbers[0],
        "donor": exchange.numbers[1],
        "garment_type": exchange.kind,
        "tone": who.looks.tone,
        "weight": who.identity.weight,
        "gender": who.identity.gender,
        "hair": hair,
    }


def draw(
    number: int,
    split: str = "train",
    size: tuple[int, int] = (256, 192),
    grounds: scenes.Grounds | None = None,
    *,
    pose_picture: bool = False,
) -> dict[str, np.ndarray]:
    """Example `number` of a split.

    Args: grounds: photos of places. pose_picture: whether `pose_image` shows a third person in the output's pose.
    Raises: ValueError for an unknown split.
    """
    generator = np.random.default_rng([SPLITS.index(split), number])
    exchange = _exchange(generator, number, split)
    # What is given comes first in every mesh, so that its vertices have the same numbers in all.
    extras, donors_extras = exchange.extras
    before = people.dress(exchange.user.identity, [*exchange.own, *extras])
    after = people.dress(exchange.user.identity, [*exchange.given, *exchange.kept, *extras])
    donor = people.dress(exchange.donor.identity, [*exchange.given, *exchange.donors_rest, *donors_extras])
    skins = textures.sample_textures(generator, exchange.user.looks, before.layers, exchange.styles[0])
    donor_skins = textures.sample_textures(generator, exchange.donor.looks, donor.layers, exchange.styles[1])
    output_skins = skins | {name: donor_skins[name] for name in exchange.given_names}

    closest = CHANCES.closest[exchange.kind != "upper"]
    eye = scenes.sample_camera(generator, size, before.height, closest)
    light = scenes.sample_light(generator)
    ground = scenes.sample_ground(generator, eye, size, grounds)
    taken = generator.integers(2**32)  # one camera takes both
    shots, turns = {}, {}
    for name, person, looks in (("input", before, skins), ("output", after, output_skins)):
        pose = _pose(generator)
        view = views.view_of(person, pose, eye, size)
        shots[name] = view, _photo(np.random.default_rng(taken), view, looks, light, ground)
        turns[f"{name}_yaw"], output_pose = np.float32(pose.yaw), pose
    eye = scenes.sample_camera(generator, size, donor.height, closest)
    ground = scenes.sample_ground(generator, eye, size, grounds)
    pose = _pose(generator)
    view, turns["worn_yaw"] = views.view_of(donor, pose, eye, size), np.float32(pose.yaw)
    shots["worn"] = view, _photo(generator, view, donor_skins, scenes.sample_light(generator), ground)
    if exchange.kind != "outfit":  # several pieces do not lie flat as one
        shots["flat"] = _flat(generator, exchange, donor_skins, size)
    if pose_picture:
        turns["pose_image"] = _third(np.random.default_rng([SPLITS.index(split), number, 2]), exchange, output_pose, eye)
    return _truth(shots, exchange) | turns


def _flat(generator, exchange: _Exchange, skins: dict, size: tuple[int, int]):
    """(view, picture) of the garment alone, on white or on a table."""
    alone = [dataclasses.replace(thing, covered_above=np.inf) for thing in exchange.given]
    person = people.dress(exchange.donor.identity, alone)
    view = views.laid_flat(person, exchange.given_names, size, arms=float(generator.uniform(0.25, 0.8)))
    white = np.ones((*size, 3), np.float32)
    table = white if generator.random() < CHANCES.white else scenes.ground(generator, "studio", view.camera, size)
    return view, _photo(generator, view, skins, scenes.sample_light(generator), table, stands=False)


def _truth(shots: dict, exchange: _Exchange) -> dict[str, np.ndarray]:
    size, found = shots["output"][0].raster.triangle.shape, {}
    for name, (view, picture) in shots.items():
        points, visible = view.keypoints()
        found |= {
            f"{name}_image": picture,
            f"{name}_segmentation": view.segmentation,
            f"{name}_keypoints": np.where(visible[:, None], points, 0).astype(np.float32),
            f"{name}_visible": visible,
        }
    output = shots["output"][0]
    worn = segmentation.region(output.segmentation, segmentation.TARGET_LABELS[exchange.kind])
    for name in ("worn", "flat"):
        flow, visible = np.zeros((*size, 2), np.float32), np.zeros(size, bool)
        if name in shots:
            flow, visible = views.flow_between(output, shots[name][0], exchange.given_names)
        else:
            found |= {f"flat_{key}": np.zeros_like(found[f"worn_{key}"])
                      for key in ("image", "segmentation", "keypoints", "visible")}  # fmt: skip
        found |= {f"{name}_flow": np.where(worn[..., None], flow, 0), f"{name}_flow_visible": visible & worn}
    return found | {"garment_type": np.int32(segmentation.GARMENT_TYPES.index(exchange.kind))}


def lies_flat(example: dict[str, np.ndarray]) -> bool:
    """Whether an example shows its garment alone, too."""
    return bool(example["flat_segmentation"].any())


def sample(example: dict[str, np.ndarray], *, flat: bool) -> dict[str, np.ndarray]:
    """A Pose-and-Dress sample whose donor is the garment that lies flat, or who wears it.

    Raises: ValueError where it does not lie flat.
    """
    if flat and not lies_flat(example):
        raise ValueError("the garments of this example do not lie flat")
    source = "flat" if flat else "worn"
    kind = segmentation.GARMENT_TYPES[int(example["garment_type"])]
    shown = segmentation.region(example[f"{source}_segmentation"], segmentation.GARMENT_LABELS[kind])
    picture = example[f"{source}_image"]
    kept = {
        name: array
        for name, array in example.items()
        if not name.startswith(("worn_", "flat_")) and not name.endswith("_yaw")
    }
    donor = {f"donor_{key}": example[f"{source}_{key}"] for key in ("image", "segmentation", "keypoints", "visible")}
    return kept | donor | {
        "dress_image": np.where(shown[..., None], picture, np.uint8(255)),
        "donor_flat": np.bool_(flat),
        "flow": example[f"{source}_flow"],
        "flow_visible": example[f"{source}_flow_visible"],
    }  # fmt: skip
