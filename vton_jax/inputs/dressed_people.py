"""Batches of dressed people, one picture each, for FiNet.

A dataset is a folder of `cached_examples` of the kind `outfits`, or of `people`, of which those are taken whose outfit
is of one style (the user in their own clothes, and the donor); a file of `pictures`, of which people with labels are
taken; or a mixture FOLDER:WEIGHT,FILE:WEIGHT. Or it is a prepared TFDS dataset, whose people are read as they are asked
for, each as the picture that the dataset's truth shows.

Conventions: as in `outfits`; a batch has 'image', 'segmentation', 'keypoints' and 'visible', [B, ...].
"""

from pathlib import Path

import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import cached_examples, input_pipeline, outfits, pictures

SIZE = outfits.SIZE
NAMES = ("image", "segmentation", "keypoints", "visible")
_SHOTS = ("input", "worn")  # whose clothes go together


def read(dataset: str | Path, size: tuple[int, int], split: str) -> dict[str, np.ndarray]:
    """All arrays [N, ...] of a split; every twentieth file, or picture of a file, is `validation`.

    Raises: UserError for what is no such dataset, or of another size.
    """
    if Path(dataset).is_file():
        return _of_pictures(dataset, size, split)
    files = cached_examples.files_of(dataset)
    held_out = split == "validation"
    files = [path for path in files if (int(path.stem) % 20 == 19) == held_out] if files else []
    if not files:
        raise UserError(
            f"--dataset={dataset} holds no examples of the split {split!r}; make them with {cached_examples.COMMAND} "
            "--kind=outfits."
        )
    parts = [_of_file(path, size) for path in files]
    return {name: np.concatenate([part[name] for part in parts]) for name in NAMES}


def _of_file(path: Path, size: tuple[int, int]) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        whole = "worn_image" in file.files
    if not whole:
        found = cached_examples.read_file(path, NAMES)
        if found["segmentation"].shape[1:] != tuple(size):
            raise UserError(f"{path} is of {found['segmentation'].shape[1:]}, not of --size.")
        return found
    names = [f"{shot}_{name}" for shot in _SHOTS for name in NAMES]
    arrays = cached_examples.read_file(path, names)
    return _framed({name: np.concatenate([arrays[f"{shot}_{name}"] for shot in _SHOTS]) for name in NAMES}, size)


def _of_pictures(path: str | Path, size: tuple[int, int], split: str) -> dict[str, np.ndarray]:
    arrays = pictures.read(path)
    labelled = (arrays["segmentation"] != segmentation.UNKNOWN).any((1, 2))
    number = np.arange(len(labelled))
    chosen = (arrays["kind"] == pictures.PERSON) & labelled & ((number % 20 == 19) == (split == "validation"))
    if not chosen.any():
        raise UserError(f"--dataset={path} holds no people with labels of the split {split!r}.")
    found = []
    for row in np.flatnonzero(chosen):
        height, width = arrays["shown"][row]
        labels = arrays["segmentation"][row, :height, :width]
        labels = np.where(labels == segmentation.UNKNOWN, 0, labels).astype(np.uint8)
        image = arrays["image"][row, :height, :width]
        found.append(outfits.framed(image, labels, arrays["keypoints"][row], arrays["seen"][row], size))
    return _stacked(found)


def _framed(arrays: dict[str, np.ndarray], size: tuple[int, int]) -> dict[str, np.ndarray]:
    return _stacked([outfits.framed(*row, size) for row in zip(*(arrays[name] for name in NAMES), strict=True)])


def _stacked(found: list[dict | None]) -> dict[str, np.ndarray]:
    return {name: np.stack([one[name] for one in found if one is not None]) for name in NAMES}


def _of_example(example: dict[str, np.ndarray], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """The person of a prepared dataset's example; the whole picture where its labels show nobody."""
    image, labels, points, visible = (example[f"output_{name}"] for name in NAMES)
    labels = np.where(labels == segmentation.UNKNOWN, 0, labels)
    found = outfits.framed(image, labels, points, visible, size)
    return found or outfits.framed(image, np.ones_like(labels), points, visible, size) | {
        "segmentation": np.zeros(size, np.uint8)
    }


def open_batches(dataset: str, batch_size: int, seed: int, size: tuple[int, int], split: str):
    """Random batches of a dataset. Raises: UserError as `read`, and as `input_pipeline.file_examples`, does."""
    if Path(dataset).is_dir() and any(Path(dataset).glob("**/dataset_info.json")):
        examples = input_pipeline.file_examples(dataset, split, seed, augment=None)
        return input_pipeline.batches_from(examples.map(lambda one: _of_example(one, size)), batch_size)
    mixture = input_pipeline.parse_mixture(dataset)
    parts = [read(folder, size, split) for folder, _ in mixture]
    weights = np.array([weight for _, weight in mixture]) / sum(weight for _, weight in mixture)
    first, num_rows = input_pipeline.own_rows(batch_size)

    def batch_at(position):
        generator = np.random.default_rng((seed, position))
        chosen = generator.choice(len(parts), batch_size, p=weights)
        places = generator.random(batch_size)
        rows = [(parts[part], int(place * len(parts[part]["image"])))
                for part, place in zip(chosen, places, strict=True)][first : first + num_rows]  # fmt: skip
        return {name: np.stack([arrays[name][row] for arrays, row in rows]) for name in NAMES}

    return input_pipeline.PositionedBatches(batch_at)
