"""Try-on with its counterfactual truth: a user, a garment that another wears and that lies flat, the user in it.

Conventions: an example shows `input` (the user's photo), `output` (the user in the donor's garment, in another pose, in
the same place), `worn` (the donor) and `flat` (the garment alone; zeros where it cannot lie flat, as several pieces
cannot). Of each: `_image` uint8 [H, W, 3], `_segmentation` uint8 [H, W], `_keypoints` float32 [18, 2] and `_visible`
bool [18]; `_places` float32 [18, 2] are all joints, hidden ones and those beyond the picture too. `worn_flow` and
`flat_flow`, float32 [H, W, 2], lead from the output's garment to the worn and the flat one, where they are
`_flow_visible` bool [H, W]. `_yaw` float32 [], of the first three, says how far somebody is turned to
the picture's right, in radians. `sample` makes a Pose-and-Dress sample (`inputs.input_pipeline`) of it.
An example is a function of its split and number.
"""

import dataclasses
import itertools
from collections.abc import Iterable

import numpy as np

from vton_jax.catalogue import (
    accessories,
    characters,
    flat_photos,
    garments,
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
from vton_jax.catalogue.characters import SPLITS, Character
from vton_jax.catalogue.garments import Cut, Garment
from vton_jax.core import segmentation

EXAMPLES_OF_ONE = 15  # user: consecutive examples
CIRCLE = 32  # characters who lend each other clothes


@dataclasses.dataclass(frozen=True)
class Chances:
    """Of what an example shows."""

    photo: float = 0.5  # a garment by rule has the cloth and cut of a photo
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
    own, theirs = (photo_cloth.sample(generator, cuts, split, CHANCES.photo) for cuts in (own, theirs))
    kind, given, kept = _exchanged(own, theirs, bool(generator.random() < CHANCES.upper))
    if kind == "lower":  # the donor's top reaches as far down as the user's, under which the given garment is cut
        theirs = dataclasses.replace(theirs[0], hem=own[0].hem), theirs[1]
    half = {"upper": 1, "lower": 0}.get(kind)
    extras = [_extras(generator, who, cuts, kind) for who, cuts in zip(both, (own, theirs), strict=True)]
    rest = [] if half is None else [garments.outfit(*theirs)[half]]
    return _Exchange(
        (user, other), *both, (style, their_style), garments.outfit(*own), kind, given, kept, rest, tuple(extras)
    )


def _extras(generator: np.random.Generator, who: Character, cuts: tuple[Cut, Cut], kind: str) -> list:
    """What somebody wears besides an outfit of cuts: shoes and hair, and what `accessories` has."""
    short = all(name.startswith("short") for name in who.hair)
    besides = accessories.sample(generator, who.identity.gender, short_hair=short, kind=kind)
    around = accessories.sample_around(generator, cuts, kind)
    return [wardrobe.sample_shoes(generator), *who.hair, *around, *besides]


def _pose(generator: np.random.Generator):
    pose, front = poses.sample_pose(generator), generator.random() < CHANCES.front
    return pose.turned(float(CHANCES.front_spread * generator.normal())) if front else pose


@dataclasses.dataclass(frozen=True)
class _Shot:
    """A picture and its truth."""

    view: views.View | flat_photos.FlatPhoto
    image: np.ndarray  # uint8 [H, W, 3]
    yaw: float = 0.0


def _camera_adds(generator: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    return np.round(255 * np.clip(scenes.finish(generator, picture), 0, 1)).astype(np.uint8)


def _textures(generator: np.random.Generator, who: Character, person: people.Person, style: str) -> dict:
    """The texture of every layer: the photo's where a garment is of one."""
    return textures.sample_textures(generator, who.looks, person.layers, style) | photo_cloth.textures(person.worn)


def about(number: int, split: str = "train") -> dict[str, float | int | str]:
    """What an example is, without drawing it: the numbers of user and donor, and what groups of them there are.

    `person_id` tells users apart in all splits, `garment_id` names the photos of cloth that anybody wears, and
    `SHOT_sleeve` says how far sleeves reach along the arm in each picture, as `Cut.sleeve`.
    """
    exchange = _exchange(np.random.default_rng([SPLITS.index(split), number]), number, split)
    who = exchange.user
    worn = {
        "input": [*exchange.own, *exchange.extras[0]],
        "output": [*exchange.given, *exchange.kept, *exchange.extras[0]],
        "worn": [*exchange.given, *exchange.donors_rest, *exchange.extras[1]],
        "flat": exchange.given,
    }
    hair = "none" if not who.hair else "short" if who.hair[0].startswith("short") else "long"
    return {
        "user": exchange.numbers[0],
        "donor": exchange.numbers[1],
        "garment_type": exchange.kind,
        "tone": who.looks.tone,
        "weight": who.identity.weight,
        "gender": who.identity.gender,
        "hair": hair,
        "person_id": characters.digest(who),
        "garment_id": " ".join(sorted(_photos(itertools.chain(*worn.values())))),
    } | {f"{shot}_sleeve": _sleeve(things) for shot, things in worn.items()}


def _photos(things: Iterable) -> set[str]:
    """The names of the photos that garments have their cloth from."""
    return {thing.cut.cloth.name for thing in things
            if isinstance(thing, Garment) and isinstance(thing.cut.cloth, photo_cloth.PhotoCloth)}  # fmt: skip


def _sleeve(things: list) -> float:
    """`Cut.sleeve` of what covers the arms; NaN where nothing is above the waist."""
    found = [thing.cut.sleeve for thing in things if isinstance(thing, Garment) and thing.cut.kind in ("top", "dress")]
    return max(found, default=np.nan)


def draw(
    number: int,
    split: str = "train",
    size: tuple[int, int] = (256, 192),
    grounds: scenes.Grounds | None = None,
    *,
    pose_picture: bool = False,
    closest: float | None = None,
) -> dict[str, np.ndarray]:
    """Example `number` of a split.

    Args: grounds: photos of places. pose_picture: whether `pose_image` shows a third person in the output's pose.
    closest: the largest part of the picture's height that people fill, by default as `CHANCES` has it.
    Raises: ValueError for an unknown split.
    """
    generator = np.random.default_rng([SPLITS.index(split), number])
    exchange = _exchange(generator, number, split)
    # What is given comes first in every mesh, so that its vertices have the same numbers in all.
    extras, donors_extras = exchange.extras
    before = people.dress(exchange.user.identity, [*exchange.own, *extras])
    after = people.dress(exchange.user.identity, [*exchange.given, *exchange.kept, *extras])
    donor = people.dress(exchange.donor.identity, [*exchange.given, *exchange.donors_rest, *donors_extras])
    skins = _textures(generator, exchange.user, before, exchange.styles[0])
    donor_skins = _textures(generator, exchange.donor, donor, exchange.styles[1])
    output_skins = skins | {name: donor_skins[name] for name in exchange.given_names}

    closest = closest or CHANCES.closest[exchange.kind != "upper"]
    eye, light = scenes.sample_camera(generator, size, before.height, closest), scenes.sample_light(generator)
    ground, shots, taken = scenes.sample_ground(generator, eye, size, grounds), {}, generator.integers(2**32)
    for name, person, looks in (("input", before, skins), ("output", after, output_skins)):
        pose = _pose(generator)
        view = views.view_of(person, pose, eye, size)
        picture = pictures.shade(view, looks, light, ground)
        shots[name] = _Shot(
            view, _camera_adds(np.random.default_rng(taken), picture), pose.yaw
        )  # one camera takes both
    shots["worn"] = _somewhere(generator, donor, donor_skins, closest, size=size, grounds=grounds)
    if exchange.kind != "outfit":  # several pieces do not lie flat as one
        shots["flat"] = _flat(generator, exchange, donor_skins, size)
    found = _truth(shots, exchange)
    if pose_picture:
        found["pose_image"] = _third(number, split, pose, eye, size)
    return found


def _somewhere(generator, person: people.Person, skins: dict, closest: float, *, size, grounds) -> _Shot:
    """Somebody in a place of their own."""
    pose = _pose(generator)
    eye = scenes.sample_camera(generator, size, person.height, closest)
    ground = scenes.sample_ground(generator, eye, size, grounds)
    view = views.view_of(person, pose, eye, size)
    picture = pictures.shade(view, skins, scenes.sample_light(generator), ground)
    return _Shot(view, _camera_adds(generator, picture), pose.yaw)


def _flat(generator, exchange: _Exchange, skins: dict, size: tuple[int, int]) -> _Shot:
    """The garment alone: its own photo where it is of one, or drawn, on white or on a table."""
    if exchange.given[0].cut.cloth is not None:
        flat = flat_photos.lay(exchange.given[0].cut.cloth, size)
        kind = flat_photos.GROUNDS[generator.integers(len(flat_photos.GROUNDS))]
        return _Shot(flat, _camera_adds(generator, flat.picture(flat_photos.ground(generator, kind, size))))
    alone = [dataclasses.replace(thing, covered_above=np.inf) for thing in exchange.given]
    person = people.dress(exchange.donor.identity, alone)
    view = views.laid_flat(person, exchange.given_names, size, arms=float(generator.uniform(0.25, 0.8)))
    white = np.ones((*size, 3), np.float32)
    table = white if generator.random() < CHANCES.white else scenes.ground(generator, "studio", view.camera, size)
    picture = pictures.shade(view, skins, scenes.sample_light(generator), table, stands=False)
    return _Shot(view, _camera_adds(generator, picture))


def _truth(shots: dict[str, _Shot], exchange: _Exchange) -> dict[str, np.ndarray]:
    output, found = shots["output"].view, {}
    for name, shot in shots.items():
        points, visible = shot.view.keypoints()
        found |= {
            f"{name}_image": shot.image,
            f"{name}_segmentation": shot.view.segmentation,
            f"{name}_keypoints": np.where(visible[:, None], points, 0).astype(np.float32),
            f"{name}_visible": visible,
            f"{name}_places": points,
        }
        if name != "flat":
            found[f"{name}_yaw"] = np.float32(shot.yaw)
    if "flat" not in shots:
        found |= {f"flat_{key}": np.zeros_like(found[f"worn_{key}"])
                  for key in ("image", "segmentation", "keypoints", "visible", "places")}  # fmt: skip
    worn = segmentation.region(output.segmentation, segmentation.TARGET_LABELS[exchange.kind])
    for name in ("worn", "flat"):
        flow, visible = np.zeros((*worn.shape, 2), np.float32), np.zeros(worn.shape, bool)
        if name in shots:
            view = shots[name].view
            flow_to = flat_photos.flow_to_photo if isinstance(view, flat_photos.FlatPhoto) else views.flow_between
            flow, visible = flow_to(output, view, exchange.given_names)
        found |= {f"{name}_flow": np.where(worn[..., None], flow, 0), f"{name}_flow_visible": visible & worn}
    return found | {"garment_type": np.int32(segmentation.GARMENT_TYPES.index(exchange.kind))}


def _third(number: int, split: str, pose: skeleton.Pose, eye: Camera, size: tuple[int, int]) -> np.ndarray:
    """The picture, uint8 [H, W, 3], of one more person of the circle in a pose before the user's camera."""
    generator = np.random.default_rng([SPLITS.index(split), number, 2])
    facts = about(number, split)
    circle = facts["user"] // CIRCLE * CIRCLE
    free = [other for other in range(circle, circle + CIRCLE) if other not in (facts["user"], facts["donor"])]
    who, style = characters.character(free[generator.integers(len(free))], split), styles.sample(generator)
    worn = garments.sample(generator, who.identity.gender, style)
    person = people.dress(who.identity, [*worn, wardrobe.sample_shoes(generator), *who.hair])
    skins = _textures(generator, who, person, style)
    taller = person.height / people.dress(characters.character(facts["user"], split).identity).height
    eye = dataclasses.replace(eye, focal=eye.focal / taller, height=eye.height * taller)  # as large as the user
    view = views.view_of(person, pose, eye, size)
    ground = scenes.sample_ground(generator, eye, size)
    return _camera_adds(generator, pictures.shade(view, skins, scenes.sample_light(generator), ground))


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
        if not name.startswith(("worn_", "flat_")) and not name.endswith(("_yaw", "_places"))
    }
    donor = {f"donor_{key}": example[f"{source}_{key}"] for key in ("image", "segmentation", "keypoints", "visible")}
    return kept | donor | {
        "dress_image": np.where(shown[..., None], picture, np.uint8(255)),
        "donor_flat": np.bool_(flat),
        "flow": example[f"{source}_flow"],
        "flow_visible": example[f"{source}_flow_visible"],
    }  # fmt: skip
