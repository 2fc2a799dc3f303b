"""Cached examples of the kind `shading`: people of the catalogue in any pose, and how light falls on them.

For ShadingCNN. A folder holds files NUMBER.npz of `cached_examples.CASES` examples.

Conventions: 'segmentation' uint8 [H, W], 'keypoints' float32 [18, 2] and 'visible' bool [18]; 'shading' uint8
[H/2, W/2, 5] is the square root of a linear one over `pictures.BRIGHTEST`, 0 where nobody is.
"""

import functools
from pathlib import Path

import cv2
import numpy as np

from vton_jax.catalogue import cases, characters, examples, people, pictures, scenes, styles, views
from vton_jax.core import keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import cached_examples, input_pipeline

SIZE = (256, 192)
_OF_ONE = 4  # looks at somebody in one outfit


def draw(number: int, split: str) -> list[dict[str, np.ndarray]]:
    """The examples of outfit `number` of a split: a function of these."""
    generator = np.random.default_rng([characters.SPLITS.index(split), number, 5])
    who, style = characters.character(number, split), styles.sample(generator)
    worn = people.sample_worn(generator, who.identity.gender, style)
    person = people.dress(who.identity, [*worn, *who.hair])
    return [look(generator, person) for _ in range(_OF_ONE)]


def look(generator: np.random.Generator, person: people.Person) -> dict[str, np.ndarray]:
    """Somebody in some pose, as the module's docstring says."""
    eye = scenes.sample_camera(generator, SIZE, person.height, cases.WHOLE)
    view = views.view_of(person, examples.sample_pose(generator), eye, SIZE)
    points, visible = view.keypoints()
    light = pictures.shading(view)
    shown = np.float32(light[..., :1] > 0)
    half = SIZE[1] // 2, SIZE[0] // 2
    small = [cv2.resize(light[..., at], half, interpolation=cv2.INTER_AREA) for at in range(light.shape[-1])]
    share = cv2.resize(shown[..., 0], half, interpolation=cv2.INTER_AREA)[..., None]
    mean = np.where(share >= 0.5, np.stack(small, -1) / np.maximum(share, 0.5), 0)
    return {
        "segmentation": view.segmentation,
        "keypoints": np.where(visible[:, None], points, 0).astype(np.float32),
        "visible": np.asarray(visible, bool),
        "shading": np.round(255 * np.sqrt(np.clip(mean / pictures.BRIGHTEST, 0, 1))).astype(np.uint8),
    }


def linear(shading):
    """A shading as it is kept, numbers from 0 to 255, as linear light."""
    return (shading / 255) ** 2 * pictures.BRIGHTEST


def make(number: int, split: str) -> dict[str, np.ndarray]:
    """The arrays of a file."""
    count = cached_examples.CASES["shading"] // _OF_ONE
    found = [one for outfit in range(number * count, (number + 1) * count) for one in draw(outfit, split)]
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def write(folder: str | Path, numbers: range, split: str) -> None:
    """Writes the files `numbers`; those that are there stay. Raises: UserError where the folder cannot be used."""
    cached_examples.write(folder, numbers, functools.partial(make, split=split), True)


def open_batches(
    folder: str | Path, batch_size: int, seed: int, size: tuple[int, int], split: str
) -> input_pipeline.PositionedBatches:
    """Shuffled batches, half of the examples mirrored. Args: split: every twentieth file is `validation`.

    Raises: UserError where the folder holds no such examples, or examples of another size.
    """
    files = cached_examples.files_of(folder)
    if not files:
        raise UserError(
            f"--dataset={folder} holds no examples; make them with {cached_examples.COMMAND} --kind=shading."
        )
    own = [path for path in files if (int(path.stem) % 20 == 19) == (split == "validation")]
    if not own:
        raise UserError(f"{folder} holds no cached examples for the split {split!r}.")
    parts = [cached_examples.read_file(path, ("segmentation", "keypoints", "visible", "shading")) for path in own]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if (found := arrays["segmentation"].shape[1:]) != tuple(size):
        raise UserError(f"--dataset={folder} is of {found[0]}x{found[1]}, not of --size.")
    return cached_examples.half_mirrored(arrays, batch_size, seed, mirror)


def mirror(batch: dict) -> dict:
    """Examples [N, ...] mirrored left to right: light from the left comes from the right."""
    width = batch["segmentation"].shape[-1]
    points, visible = keypoints.mirror(batch["keypoints"], batch["visible"], width)
    return {
        "segmentation": segmentation.mirror(batch["segmentation"]),
        "keypoints": points,
        "visible": visible,
        "shading": batch["shading"][:, :, ::-1][..., [0, 2, 1, 3, 4]],
    }
