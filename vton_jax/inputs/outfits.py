"""People of the catalogue in outfits of one style, one picture each, for networks that learn what goes together.

They wear a top over trousers or a skirt, shoes, perhaps a cap, and nothing besides; cloth is by rule, so that colours
follow the style too. A folder holds files NUMBER.npz of `cached_examples.CASES` pictures.

Conventions: 'image' uint8 [H, W, 3], 'segmentation' uint8 [H, W], 'keypoints' float32 [18, 2] and 'visible' bool [18],
with everybody as large as `framed` makes them; 'style' int32 [] is an index in `styles.STYLES`, -1 where none is known.
"""

import functools
from pathlib import Path

import numpy as np

from vton_jax.catalogue import (
    accessories,
    characters,
    examples,
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
from vton_jax.inputs import cached_examples
from vton_jax.inputs.drawn_people import open_grounds
from vton_jax.reading import person_crop

SIZE = (128, 96)
MARGIN = 0.06  # around a person, of the larger side
_DRAWN = (192, 144)  # of which the person is cut out
_OF_ONE = 6  # pictures of a character
_CAPS = 0.25  # of those with short hair wear one
_LARGEST = 0.86  # of the picture's height


def draw(number: int, split: str, free: float = 0.0, grounds: scenes.Grounds | None = None) -> dict[str, np.ndarray]:
    """Picture `number` of a split: a function of these. Args: free: how often a choice follows no rule."""
    generator = np.random.default_rng([characters.SPLITS.index(split), number, 3])
    who, style = characters.character(number // _OF_ONE, split), styles.sample(generator)
    gender = who.identity.gender
    cuts = garments.sample_cuts(generator, gender, style, free)
    while cuts[1].kind == "dress":  # what is one piece needs no rule
        cuts = garments.sample_cuts(generator, gender, style, free)
    short = all(name.startswith("short") for name in who.hair)
    cap = accessories.cap(*generator.uniform((0.75, 0.14), (1.0, 0.24))) if short and generator.random() < _CAPS else []
    person = people.dress(who.identity, [*garments.outfit(*cuts), wardrobe.sample_shoes(generator), *who.hair, *cap])
    skins = textures.sample_textures(generator, who.looks, person.layers, style, free)
    eye = scenes.sample_camera(generator, _DRAWN, person.height, _LARGEST)
    front = float(examples.CHANCES.front_spread * generator.normal())
    view = views.view_of(person, poses.sample_pose(generator).turned(front), eye, _DRAWN)
    ground = scenes.sample_ground(generator, eye, _DRAWN, grounds)
    picture = scenes.finish(generator, pictures.shade(view, skins, scenes.sample_light(generator), ground))
    image = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    found = framed(image, view.segmentation, *view.keypoints())
    return found | {"style": np.int32(tuple(styles.STYLES).index(style))}


def framed(
    image: np.ndarray, labels: np.ndarray, points: np.ndarray, visible: np.ndarray, size: tuple[int, int] = SIZE
) -> dict[str, np.ndarray] | None:
    """A picture [H, W, 3] of somebody at `size`, who fills it; None where the labels [H, W] show nobody."""
    row, column = np.nonzero(labels)
    if not len(row):
        return None
    box = np.array([column.min(), row.min(), column.max() + 1, row.max() + 1], float)
    box = person_crop.widened(box, size, MARGIN)
    crop, place = person_crop.crop_to(image, box, size)
    # Beyond the picture there is nobody: its edge is background there.
    inside = person_crop.crop_to(np.pad(labels, 1), box + 1, size, nearest=True)[0]
    return {
        "image": crop,
        "segmentation": inside,
        "keypoints": np.where(visible[:, None], place.points(points), 0).astype(np.float32),
        "visible": np.asarray(visible, bool),
    }


def make(number: int, split: str, free: float, grounds: scenes.Grounds | None) -> dict[str, np.ndarray]:
    """The arrays of a file."""
    count = cached_examples.CASES["outfits"]
    found = [draw(case, split, free, grounds) for case in range(number * count, (number + 1) * count)]
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def write(folder: str | Path, numbers: range, split: str, free: float = 0.0, grounds: str | None = None) -> None:
    """Writes the files `numbers`; those that are there stay.

    Args: free: see `draw`. grounds: a folder of places without people. Raises: UserError where a folder cannot be used.
    """
    places = open_grounds(grounds, split)
    cached_examples.write(folder, numbers, functools.partial(make, split=split, free=free, grounds=places), True)
