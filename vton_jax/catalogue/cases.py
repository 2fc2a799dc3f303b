"""Evaluation cases: a user's photo, a donor, a third person's picture in the wanted pose, and the counterfactual truth.

Conventions: arrays [B, ...] as in a Pose-and-Dress sample (`inputs.input_pipeline`), and besides::

    pose_...                 as of the others: somebody else, in clothes of their own, in the output's pose
    other_body_segmentation  uint8 [H, W], that person as the user is dressed in the output
    flat                     bool [], whether the donor is the garment laid flat: every second one, where it can
    garment_mask             bool [H, W], the donated garment in the output; flows are judged there
    yaw, turn                float32 [], of the output, and by how much the user has turned, in radians
    photo_cloth              bool [], whether a photo's cloth is given
    height                   float32 [], of the user in the output, in pixels

Case i shows user i of a split: nobody is the user of two, and `exchanges.CIRCLE` cases in a row, from a multiple of it
on, show nobody of whom other such rows show anything. People are shown whole.
"""

import dataclasses

import numpy as np

from vton_jax.catalogue import examples, exchanges, motion, pictures, poses
from vton_jax.catalogue.characters import SPLITS
from vton_jax.core import keypoints, segmentation

WHOLE = 0.86  # of the picture's height that people fill at most
FRAME_RATE = 15  # of clips
_CLIPS = 31_250 * exchanges.CIRCLE  # number of the first clip's user: cases count from 0
_STUDIO = 0.87  # how light a plain ground is
_STANCE_SPREAD = 0.2  # radians that photos of clips are turned by


def draw_cases(
    count: int, size: tuple[int, int] = (256, 192), split: str = "test", *, first: int = 0
) -> dict[str, np.ndarray]:
    """`count` cases of a split's people and garments; case i is the same for any count. Args: first: its number."""
    drawn = [_case(number, size, split) for number in range(first, first + count)]
    return {name: np.stack([case[name] for case in drawn]) for name in drawn[0]}


def _case(number: int, size: tuple[int, int], split: str) -> dict[str, np.ndarray]:
    flat = number % 2 == 1
    example_number = examples.number_that_lies_flat(number, split) if flat else number * exchanges.EXAMPLES_OF_ONE
    example = examples.draw(example_number, split, size, pose_picture=True, closest=WHOLE)
    given = exchanges.sample(np.random.default_rng([SPLITS.index(split), example_number]), example_number, split).given
    return case_of(example, flat=flat, photo_cloth=given[0].cut.cloth is not None)


def case_of(example: dict, *, flat: bool, photo_cloth: bool) -> dict[str, np.ndarray]:
    """The arrays of one case from an example with a pose picture."""
    case = examples.sample(example, flat=flat)
    kind = segmentation.GARMENT_TYPES[int(case["garment_type"])]
    turn = (example["output_yaw"] - example["input_yaw"] + np.pi) % (2 * np.pi) - np.pi
    return case | {
        "flat": case["donor_flat"],
        "garment_mask": segmentation.region(case["output_segmentation"], segmentation.GARMENT_LABELS[kind]),
        "yaw": example["output_yaw"],
        "turn": np.float32(abs(turn)),
        "photo_cloth": np.bool_(photo_cloth),
        "height": np.float32(keypoints.person_height(example["output_places"], np.ones(keypoints.NUM_JOINTS, bool))),
    }


def draw_walk(
    index: int,
    count: int,
    size: tuple[int, int] = (256, 192),
    seed: int = 0,
    split: str = "test",
    *,
    rate: float = FRAME_RATE,
) -> tuple[np.ndarray, ...]:
    """A clip case: a photo [H, W, 3], a garment laid flat [H, W, 3], a clip [T, H, W, 3] of a third person who walks
    and turns, `rate` frames a second, and the true clip of the user in the garment, all uint8."""
    number = examples.number_that_lies_flat(_CLIPS + exchanges.CIRCLE * seed + index, split)
    return clip(number, count, size, split, rate=rate)


def clip(
    number: int, count: int, size: tuple[int, int], split: str, *, calm: bool = False, rate: float = FRAME_RATE
) -> tuple[np.ndarray, ...]:
    """`draw_walk` of an example. Args: calm: plain light grounds, and cameras that add nothing."""
    generator, exchange, dressed, place = _begun(number, size, split)
    place = _calm(place) if calm else place
    still = poses.sample_stance(generator).turned(float(_STANCE_SPREAD * generator.normal()))
    photo = place.shot(dressed.before, dressed.skins, still).image
    flat = examples.lay_flat(generator, exchange, dressed.donor_skins, size).image
    moves = motion.sample(generator, max(count / rate, 1.0))
    generator, person, skins, _ = exchanges.third(number, split, exchange)
    theirs = examples.third_place(generator, place.eye, person.height / dressed.before.height, size)
    theirs = _calm(theirs) if calm else theirs
    walk = [motion.pose_at(moves, frame / rate) for frame in range(count)]
    shown = np.stack([theirs.shot(person, skins, pose).image for pose in walk])
    truth = np.stack([place.shot(dressed.after, dressed.output_skins, pose).image for pose in walk])
    return photo, flat, shown, truth


def _begun(number: int, size: tuple[int, int], split: str):
    """Of an example: the generator that goes on, who exchanges what, dressed, and where the user stands."""
    generator = np.random.default_rng([SPLITS.index(split), number])
    exchange = exchanges.sample(generator, number, split)
    dressed = exchanges.dress(generator, exchange)
    place = examples.users_place(generator, exchange, dressed.before.height, WHOLE, size=size, grounds=None)
    return generator, exchange, dressed, place


def mirrored_walk(
    index: int, count: int, size: tuple[int, int], split: str, *, rate: float = FRAME_RATE
) -> tuple[np.ndarray, ...]:
    """A case of the mirror: a garment laid flat [H, W, 3], a clip [T, H, W, 3] of the user who walks and turns, and the
    true clip of them in the garment, all uint8."""
    number = examples.number_that_lies_flat(_CLIPS + index, split)
    generator, exchange, dressed, place = _begun(number, size, split)
    flat = examples.lay_flat(generator, exchange, dressed.donor_skins, size).image
    moves = motion.sample(generator, max(count / rate, 1.0))
    walk = [motion.pose_at(moves, frame / rate) for frame in range(count)]
    worn = (dressed.before, dressed.skins), (dressed.after, dressed.output_skins)
    shown, truth = (np.stack([place.shot(*one, pose).image for pose in walk]) for one in worn)
    return flat, shown, truth


def _calm(place: examples.Place) -> examples.Place:
    studio = np.full_like(place.ground, _STUDIO)
    return dataclasses.replace(place, light=pictures.Light(), ground=studio, taken=None)


def cases_of_a_seed(seed: int) -> int:
    """The number of the first case that a seed shows."""
    return seed * 1000 * exchanges.CIRCLE
