"""Try-on with its counterfactual truth: a user, a garment that another wears or that lies flat, and the user in it.

Conventions: an example is a Pose-and-Dress sample (`inputs.input_pipeline`): images uint8 [H, W, 3], segmentation
uint8 [H, W], keypoints float32 [18, 2] with visible bool [18], for `input` (the user's photo), `donor` and `output`
(the user in the donor's garment, in another pose, in the same place); `dress_image` shows the garment alone on white;
`flow` leads from the output's garment to the donor's. An example is a function of its split and number.
"""

import dataclasses

import numpy as np

from vton_jax.core import segmentation
from vton_jax.human_catalogue import (
    bodies,
    flat_photos,
    garments,
    people,
    photo_cloth,
    pictures,
    poses,
    scenes,
    styles,
    textures,
    views,
    wardrobe,
)
from vton_jax.human_catalogue.garments import Cut, Garment

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Chances:
    """Of what an example shows."""

    flat: float = 0.4  # the garment lies flat
    photo: float = 0.5  # a garment by rule has the cloth and cut of a photo
    upper: float = 0.5  # of those that exchange half an outfit, the upper half
    front: float = 0.6  # a photo shows the front
    closest: tuple[float, float] = (1.9, 1.2)  # part of the picture's height that people fill: upper halves, others
    front_spread: float = 0.45  # radians


CHANCES = Chances()


def _pose(generator: np.random.Generator, front: bool):
    pose = poses.sample_pose(generator)
    return pose.turned(float(CHANCES.front_spread * generator.normal())) if front else pose


def _exchanged(worn: tuple[Cut, Cut], given: tuple[Cut, Cut], upper: bool) -> tuple[str, list[Garment], list[Garment]]:
    """(garment type, what is given, what the user wears besides) of two outfits, each a top and what is below."""
    if "dress" in (worn[1].kind, given[1].kind):
        whole = garments.outfit(*given)
        return ("dress" if given[1].kind == "dress" else "outfit"), whole, []
    top, lower = garments.outfit(given[0], worn[1]) if upper else garments.outfit(worn[0], given[1])
    return ("upper", [top], [lower]) if upper else ("lower", [lower], [top])


def _photo(generator, view: views.View, skins: dict, light, ground: np.ndarray, **options) -> np.ndarray:
    picture = scenes.finish(generator, pictures.shade(view, skins, light, ground, **options))
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def draw(number: int, split: str = "train", size: tuple[int, int] = (256, 192)) -> dict[str, np.ndarray]:
    """Example `number` of a split. Raises: ValueError for an unknown split."""
    generator = np.random.default_rng([SPLITS.index(split), number])
    user, other = bodies.sample_identity(generator), bodies.sample_identity(generator)
    style, their_style = styles.sample(generator), styles.sample(generator)
    own = garments.sample_cuts(generator, user.gender, style)
    theirs = garments.sample_cuts(generator, other.gender, their_style)
    own, theirs = (photo_cloth.sample(generator, cuts, split, CHANCES.photo) for cuts in (own, theirs))
    kind, given, rest = _exchanged(own, theirs, bool(generator.random() < CHANCES.upper))
    extras, their_extras = (list(wardrobe.sample(generator, who.gender)[1:]) for who in (user, other))
    other_half = {"upper": 1, "lower": 0}.get(kind)
    if kind == "lower":  # the donor's top reaches as far down as the user's, under which the given garment is cut
        theirs = dataclasses.replace(theirs[0], hem=own[0].hem), theirs[1]
    their_rest = [] if other_half is None else [garments.outfit(*theirs)[other_half]]

    # What is given comes first in every mesh, so that its vertices have the same numbers in all.
    before = people.dress(user, [*garments.outfit(*own), *extras])
    after = people.dress(user, [*given, *rest, *extras])
    flat = kind != "outfit" and generator.random() < CHANCES.flat  # several pieces do not lie flat as one
    alone = [dataclasses.replace(thing, covered_above=np.inf) for thing in given]
    donor = people.dress(other, alone if flat else [*given, *their_rest, *their_extras])
    skins = textures.sample_textures(generator, user, before.layers, style)
    donor_skins = textures.sample_textures(generator, other, donor.layers, their_style)
    skins |= photo_cloth.textures(garments.outfit(*own))
    donor_skins |= photo_cloth.textures([*given, *their_rest])
    given_names = [thing.name for thing in given]
    output_skins = skins | {name: donor_skins[name] for name in given_names}

    closest = CHANCES.closest[kind != "upper"]
    eye = scenes.sample_camera(generator, size, before.height, closest)
    light = scenes.sample_light(generator)
    ground = scenes.ground(generator, _ground_kind(generator), eye, size)
    taken = generator.integers(2**32)  # one camera takes both
    shots = {}
    for name, person, looks in (("input", before, skins), ("output", after, output_skins)):
        view = views.view_of(person, _pose(generator, generator.random() < CHANCES.front), eye, size)
        shots[name] = view, _photo(np.random.default_rng(taken), view, looks, light, ground)
    if flat and given[0].cut.cloth is not None:
        shots["donor"] = _flat_photo(generator, given[0].cut.cloth, size)
    elif flat:
        shots["donor"] = _flat(generator, donor, given_names, donor_skins, size)
    else:
        shots["donor"] = _worn(generator, donor, donor_skins, closest, size)
    return _sample(shots, kind, given_names)


def _ground_kind(generator: np.random.Generator) -> str:
    return scenes.GROUNDS[generator.choice(len(scenes.GROUNDS), p=scenes.RANGES.grounds)]


def _flat(generator, donor: people.Person, given: list[str], skins: dict, size: tuple[int, int]):
    """(view, picture) of the garment alone, on white or on a table."""
    view = views.laid_flat(donor, given, size, arms=float(generator.uniform(0.25, 0.8)))
    white = np.ones((*size, 3), np.float32)
    table = white if generator.random() < 0.5 else scenes.ground(generator, "studio", view.camera, size)
    return view, _photo(generator, view, skins, scenes.sample_light(generator), table, stands=False)


def _flat_photo(generator, cloth: photo_cloth.PhotoCloth, size: tuple[int, int]):
    """(flat photo, picture) of the garment as it was photographed, on a ground of its own."""
    flat = flat_photos.lay(cloth, size)
    kind = flat_photos.GROUNDS[generator.integers(len(flat_photos.GROUNDS))]
    picture = scenes.finish(generator, flat.picture(flat_photos.ground(generator, kind, size)))
    return flat, np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def _worn(generator, donor: people.Person, skins: dict, closest: float, size: tuple[int, int]):
    """(view, picture) of the donor, somewhere else."""
    eye = scenes.sample_camera(generator, size, donor.height, closest)
    view = views.view_of(donor, _pose(generator, generator.random() < CHANCES.front), eye, size)
    ground = scenes.ground(generator, _ground_kind(generator), eye, size)
    return view, _photo(generator, view, skins, scenes.sample_light(generator), ground)


def _sample(shots: dict, kind: str, given: list[str]) -> dict[str, np.ndarray]:
    sample = {}
    for name, (view, picture) in shots.items():
        points, visible = view.keypoints()
        sample |= {
            f"{name}_image": picture,
            f"{name}_segmentation": view.segmentation,
            f"{name}_keypoints": np.where(visible[:, None], points, 0).astype(np.float32),
            f"{name}_visible": visible,
        }
    donor, output = shots["donor"][0], shots["output"][0]
    shown = segmentation.region(donor.segmentation, segmentation.GARMENT_LABELS[kind])
    worn = segmentation.region(output.segmentation, segmentation.TARGET_LABELS[kind])
    of_photo = isinstance(donor, flat_photos.FlatPhoto)
    flow_to = flat_photos.flow_to_photo if of_photo else views.flow_between
    flow, visible = flow_to(output, donor, given)
    return sample | {
        "dress_image": np.where(shown[..., None], shots["donor"][1], np.uint8(255)),
        "garment_type": np.int32(segmentation.GARMENT_TYPES.index(kind)),
        "donor_flat": np.bool_(of_photo or (donor.person.keep[: len(donor.person.body)] < 0).all()),
        "flow": np.where(worn[..., None], flow, 0).astype(np.float32),
        "flow_visible": visible & worn,
    }
