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

import numpy as np

from vton_jax.catalogue import exchanges, flat_photos, people, pictures, poses, scenes, views
from vton_jax.catalogue.camera import Camera
from vton_jax.catalogue.characters import SPLITS
from vton_jax.catalogue.exchanges import EXAMPLES_OF_ONE, Exchange
from vton_jax.catalogue.garments import Garment
from vton_jax.core import segmentation


@dataclasses.dataclass(frozen=True)
class Chances:
    """Of what an example shows."""

    front: float = 0.6  # a photo shows the front
    white: float = 0.5  # what lies flat lies on white
    closest: tuple[float, float] = (1.9, 1.2)  # part of the picture's height that people fill: upper halves, others
    front_spread: float = 0.45  # radians


CHANCES = Chances()


def sample_pose(generator: np.random.Generator) -> poses.Pose:
    """A pose as photos show people: more often from the front than `poses.sample_pose` has it."""
    pose, front = poses.sample_pose(generator), generator.random() < CHANCES.front
    return pose.turned(float(CHANCES.front_spread * generator.normal())) if front else pose


@dataclasses.dataclass(frozen=True)
class Shot:
    """A picture and its truth."""

    view: views.View | flat_photos.FlatPhoto
    image: np.ndarray  # uint8 [H, W, 3]
    yaw: float = 0.0


@dataclasses.dataclass(frozen=True)
class Place:
    """Where and how pictures are taken."""

    eye: Camera
    light: pictures.Light
    ground: np.ndarray  # [H, W, 3]
    taken: int | None  # seed of what the camera adds; None: nothing

    def shot(self, person: people.Person, skins: dict, pose: poses.Pose) -> Shot:
        """Somebody with the textures `skins` in a pose: all pictures of one place are taken by one camera."""
        view = views.view_of(person, pose, self.eye, self.ground.shape[:2])
        picture = pictures.shade(view, skins, self.light, self.ground)
        adds = None if self.taken is None else np.random.default_rng(self.taken)
        return Shot(view, exposed(adds, picture), pose.yaw)


def exposed(generator: np.random.Generator | None, picture: np.ndarray) -> np.ndarray:
    """The picture [H, W, 3] with what cameras add, uint8; without a generator they add nothing."""
    picture = picture if generator is None else scenes.finish(generator, picture)
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def users_place(
    generator: np.random.Generator, exchange: Exchange, tall: float, closest: float | None, *, size, grounds
) -> Place:
    """Where the user is photographed. Args: tall: the user, in decimetres. closest: see `draw`."""
    closest = closest or CHANCES.closest[exchange.kind != "upper"]
    eye, light = scenes.sample_camera(generator, size, tall, closest), scenes.sample_light(generator)
    ground = scenes.sample_ground(generator, eye, size, grounds)
    return Place(eye, light, ground, int(generator.integers(2**32)))


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

    Args: grounds: photos of places. pose_picture: whether `pose_image`, with the truth that the others have, shows a
    third person in the output's pose, as large as the user; `other_body_segmentation` is this person's, as the user is
    dressed in the output. closest: the largest part of the picture's height that people fill, by default as `CHANCES`
    has it. Raises: ValueError for an unknown split.
    """
    generator = np.random.default_rng([SPLITS.index(split), number])
    exchange = exchanges.sample(generator, number, split)
    dressed = exchanges.dress(generator, exchange)
    place = users_place(generator, exchange, dressed.before.height, closest, size=size, grounds=grounds)
    shots = {"input": place.shot(dressed.before, dressed.skins, sample_pose(generator))}
    pose = sample_pose(generator)
    shots["output"] = place.shot(dressed.after, dressed.output_skins, pose)
    closest = closest or CHANCES.closest[exchange.kind != "upper"]
    shots["worn"] = somewhere(generator, dressed, closest, size=size, grounds=grounds)
    if exchange.kind != "outfit":  # several pieces do not lie flat as one
        shots["flat"] = lay_flat(generator, exchange, dressed.donor_skins, size)
    if not pose_picture:
        return truth(shots, exchange)
    generator, person, skins, other = exchanges.third(number, split, exchange)
    theirs = third_place(generator, place.eye, person.height / dressed.before.height, size)
    view = views.view_of(person, pose, theirs.eye, size)
    picture = pictures.shade(view, skins, theirs.light, theirs.ground)
    shots["pose"] = Shot(view, exposed(generator, picture), pose.yaw)
    dressed_alike = views.view_of(other, pose, theirs.eye, size)
    return truth(shots, exchange) | {"other_body_segmentation": dressed_alike.segmentation}


def third_place(generator: np.random.Generator, eye: Camera, taller: float, size: tuple[int, int]) -> Place:
    """Where the third person is photographed, as large as the user. Args: eye: the user's camera. taller: than they."""
    eye = dataclasses.replace(eye, focal=eye.focal / taller, height=eye.height * taller)
    ground = scenes.sample_ground(generator, eye, size)
    return Place(eye, scenes.sample_light(generator), ground, 0)


def somewhere(generator, dressed: exchanges.Dressed, closest: float, *, size, grounds) -> Shot:
    """The donor in a place of their own."""
    person, pose = dressed.donor, sample_pose(generator)
    eye = scenes.sample_camera(generator, size, person.height, closest)
    ground = scenes.sample_ground(generator, eye, size, grounds)
    view = views.view_of(person, pose, eye, size)
    picture = pictures.shade(view, dressed.donor_skins, scenes.sample_light(generator), ground)
    return Shot(view, exposed(generator, picture), pose.yaw)


def lay_flat(generator, exchange: Exchange, skins: dict, size: tuple[int, int]) -> Shot:
    """The garment alone: its own photo where it is of one, or drawn, on white or on a table."""
    if exchange.given[0].cut.cloth is not None:
        flat = flat_photos.lay(exchange.given[0].cut.cloth, size)
        kind = flat_photos.GROUNDS[generator.integers(len(flat_photos.GROUNDS))]
        return Shot(flat, exposed(generator, flat.picture(flat_photos.ground(generator, kind, size))))
    view = _drawn_flat(exchange.donor.identity, exchange.given, size, float(generator.uniform(0.25, 0.8)))
    white = np.ones((*size, 3), np.float32)
    table = white if generator.random() < CHANCES.white else scenes.ground(generator, "studio", view.camera, size)
    picture = pictures.shade(view, skins, scenes.sample_light(generator), table, stands=False)
    return Shot(view, exposed(generator, picture))


def lay_on_white(identity, given: list[Garment], skins: dict, size: tuple[int, int]) -> Shot:
    """A garment of one or two pieces alone, as a shop shows it. Args: identity: whom it is cut for."""
    white = np.ones((*size, 3), np.float32)
    if given[0].cut.cloth is not None:
        flat = flat_photos.lay(given[0].cut.cloth, size)
        return Shot(flat, exposed(None, flat.picture(white)))
    view = _drawn_flat(identity, given, size, 0.5)
    return Shot(view, exposed(None, pictures.shade(view, skins, pictures.Light(), white, stands=False)))


def _drawn_flat(identity, given: list[Garment], size: tuple[int, int], arms: float) -> views.View:
    person = people.dress(identity, [dataclasses.replace(thing, covered_above=np.inf) for thing in given])
    return views.laid_flat(person, [thing.name for thing in given], size, arms=arms)


def truth(shots: dict[str, Shot], exchange: Exchange) -> dict[str, np.ndarray]:
    """What pictures show, see the module's docstring."""
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


def number_that_lies_flat(user: int, split: str) -> int:
    """The number of the first example of a user whose garment lies flat."""
    own = range(user * EXAMPLES_OF_ONE, (user + 1) * EXAMPLES_OF_ONE)
    return next(number for number in own if exchanges.about(number, split)["garment_type"] != "outfit")


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
