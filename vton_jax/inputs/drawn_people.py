"""Cached examples of the kind `people`: the catalogue as it is drawn, kept whole on the device.

For an accelerator that learns faster than threads can decode: a folder of files NUMBER.npz, each of
`cached_examples.CASES` examples, read once. From it come batches of Pose-and-Dress samples (`sample_batches`), and
pictures for ReaderCNN (`as_pictures`).

Conventions: an example is one of `catalogue.examples`, whose people are shown whole; a file holds its arrays
[K, ...], flows in sixteenths of a pixel, and `SHOT_sleeve` of `exchanges.about`. Batches as in `input_pipeline`.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.catalogue import cases, examples, exchanges, scenes
from vton_jax.core import keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import cached_examples, input_pipeline
from vton_jax.inputs.catalogue_examples import FLOW_UNIT, SHOTS

_CASES = cached_examples.CASES["people"]  # two users
SIZE = (256, 192)


def make(number: int, size: tuple[int, int], split: str, grounds: scenes.Grounds | None) -> dict[str, np.ndarray]:
    """The arrays [_CASES, ...] of a file."""
    found = []
    for case in range(number * _CASES, (number + 1) * _CASES):
        example = examples.draw(case, split, size, grounds, closest=cases.WHOLE)
        about = exchanges.about(case, split)
        sleeves = {f"{shot}_sleeve": np.float32(about[f"{shot}_sleeve"]) for shot in SHOTS}
        flows = {name: np.clip(np.rint(flow * FLOW_UNIT), -(2**15), 2**15 - 1).astype(np.int16)
                 for name, flow in example.items() if name.endswith("_flow")}  # fmt: skip
        found.append(example | sleeves | flows)
    return {name: np.stack([example[name] for example in found]) for name in found[0]}


def write(folder: str | Path, numbers: range, split: str = "train", grounds: str | None = None) -> None:
    """Writes the files `numbers`; those that are there stay.

    Args: grounds: a folder of places without people. Raises: UserError where it, or `folder`, cannot be used.
    """
    places = open_grounds(grounds, split)
    cached_examples.write(folder, numbers, lambda number: make(number, SIZE, split, places), compressed=False)


def open_grounds(folder: str | None, split: str) -> scenes.Grounds | None:
    """The places of a folder, where one is named. Raises: UserError where it cannot be used."""
    try:
        return scenes.Grounds(folder, split) if folder else None
    except (ValueError, OSError) as error:
        raise UserError(f"--grounds: {error}.") from None


def is_folder(dataset: str | Path) -> bool:
    """Whether --dataset names a folder of this kind."""
    files = cached_examples.files_of(dataset)
    if not files:
        return False
    with np.load(files[0]) as file:
        return "worn_image" in file.files


def read(folder: str | Path, split: str) -> dict[str, np.ndarray]:
    """All arrays [N, ...] of a split: every twentieth file is `validation`. Raises: UserError."""
    held_out = split == "validation"
    files = [path for path in cached_examples.files_of(folder) if (int(path.stem) % 20 == 19) == held_out]
    if not files:
        raise UserError(f"{folder} holds no cached examples for the split {split!r}.")
    first = cached_examples.read_file(files[0])
    # Filled in place: twice the memory would be too much.
    found = {name: np.empty((len(files) * len(array), *array.shape[1:]), array.dtype) for name, array in first.items()}
    for place, path in enumerate(files):
        for name, array in cached_examples.read_file(path, tuple(first)).items():
            found[name][place * len(array) : (place + 1) * len(array)] = array
    return found


# ---------------------------------------------------------------------------------------------------- try-on samples


class _Samples(input_pipeline.DeviceBatches):
    kind = "people"

    def __init__(self, arrays: dict, batch_size: int, seed: int):
        first, rows = input_pipeline.own_rows(batch_size)
        kept = [name for name in arrays if not name.endswith(("_sleeve", "_yaw"))]
        arrays = {name: jax.device_put(arrays[name]) for name in kept}
        super().__init__(functools.partial(_draw, rows=rows), arrays, seed, first)


def sample_batches(folder: str | Path, batch_size: int, seed: int, size: tuple[int, int], split: str) -> _Samples:
    """Batches of samples; in half of them the donor is the garment laid flat, where it can lie flat, half are mirrored.

    Raises: UserError where the examples are of another size.
    """
    arrays = read(folder, split)
    if (found := arrays["input_segmentation"].shape[1:]) != tuple(size):
        raise UserError(f"--dataset={folder} is of {found[0]}x{found[1]}, not of --size.")
    return _Samples(arrays, batch_size, seed)


def _draw(arrays: dict, key: jax.Array, *, rows: int) -> dict:
    keys = jax.random.split(key, 3)
    index = jax.random.randint(keys[0], (rows,), 0, len(arrays["garment_type"]))
    chosen = {name: jnp.take(array, index, axis=0) for name, array in arrays.items()}
    flat, mirrored = jax.random.bernoulli(keys[1], 0.5, (rows,)), jax.random.bernoulli(keys[2], 0.5, (rows,))
    sample = jax.vmap(_sample)(chosen, flat)
    other = jax.vmap(_mirrored)(sample)
    pick = lambda a, b: jnp.where(mirrored.reshape(-1, *[1] * (a.ndim - 1)), a, b)  # noqa: E731
    return jax.tree.map(pick, other, sample)


def _sample(example: dict, flat: jax.Array) -> dict:
    """`examples.sample` as JAX has it: the donor is worn, or `flat` where that can be."""
    flat = flat & example["flat_segmentation"].any()
    either = lambda name: jnp.where(flat, example[f"flat_{name}"], example[f"worn_{name}"])  # noqa: E731
    found = {f"{who}_{part}": example[f"{who}_{part}"] for who in ("input", "output")
             for part in ("image", "segmentation", "keypoints", "visible")}  # fmt: skip
    found |= {f"donor_{part}": either(part) for part in ("image", "segmentation", "keypoints", "visible")}
    sets = jnp.array([segmentation.bit_set(segmentation.GARMENT_LABELS[name]) for name in segmentation.GARMENT_TYPES])
    shown = segmentation.in_bit_set(found["donor_segmentation"].astype(jnp.int32), sets[example["garment_type"]])
    return found | {
        "dress_image": jnp.where(shown[..., None], found["donor_image"], jnp.uint8(255)),
        "garment_type": example["garment_type"],
        "donor_flat": flat,
        "flow": either("flow").astype(jnp.float32) / FLOW_UNIT,
        "flow_visible": either("flow_visible"),
    }


def _mirrored(sample: dict) -> dict:
    """`augment.mirror` as JAX has it."""
    names = jnp.arange(256, dtype=jnp.uint8).at[: segmentation.NUM_LABELS].set(segmentation.MIRROR)
    width, found = sample["input_image"].shape[1], dict(sample)
    for name, value in sample.items():
        if name.endswith("_segmentation"):
            found[name] = names[value[:, ::-1]]
        elif name.endswith("_keypoints"):
            visible = sample[name.replace("_keypoints", "_visible")][keypoints.MIRROR]
            points = value[keypoints.MIRROR] * jnp.array([-1, 1]) + jnp.array([width - 1.0, 0])
            found[name], found[name.replace("_keypoints", "_visible")] = jnp.where(visible[:, None], points, 0), visible
        elif name == "flow":
            found[name] = value[:, ::-1] * jnp.array([-1.0, 1.0])
        elif name.endswith("_image") or name == "flow_visible":
            found[name] = value[:, ::-1]
    return found


# -------------------------------------------------------------------------------------------------------- for ReaderCNN


_SLEEVES_BEGIN = (0.2, 0.85, 1.5)  # of `Cut.sleeve`, 1 being the elbow and 2 the wrist: short, three-quarter, long


def sleeve_class(sleeve: np.ndarray) -> np.ndarray:
    """`Cut.sleeve` -> the index of `models.reader_cnn.SLEEVES`; -1 where there is no upper garment (NaN)."""
    return np.where(np.isnan(sleeve), -1, np.searchsorted(_SLEEVES_BEGIN, sleeve, side="right")).astype(np.int8)


def as_pictures(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The examples [N] as pictures of `pictures.read` [up to 4 N]: user, before and after, donor, garment alone."""
    parts, count = [], len(arrays["garment_type"])
    height, width = arrays["input_segmentation"].shape[1:]
    for shot in SHOTS:
        flat, seen = shot == "flat", arrays[f"{shot}_visible"]
        there = arrays[f"{shot}_segmentation"].any((1, 2))
        yaw = np.zeros(count) if flat else arrays[f"{shot}_yaw"]
        part = {
            "image": arrays[f"{shot}_image"], "segmentation": arrays[f"{shot}_segmentation"],
            "shown": np.tile(np.int32([height, width]), (count, 1)), "keypoints": arrays[f"{shot}_places"],
            "known": seen if flat else np.ones_like(seen), "seen": seen,
            "kind": np.full(count, 2 if flat else 1, np.int8),
            "garment_type": (arrays["garment_type"] if flat else np.full(count, -1)).astype(np.int8),
            "sleeves": sleeve_class(arrays[f"{shot}_sleeve"]),
            "facing": np.stack([np.sin(yaw), np.cos(yaw)], -1).astype(np.float32) * (not flat),
        }  # fmt: skip
        parts.append({name: array if there.all() else array[there] for name, array in part.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
