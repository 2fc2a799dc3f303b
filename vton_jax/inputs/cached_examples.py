"""Cached examples: what the released networks read in try-on cases, for the networks that learn from it.

A folder holds a file NUMBER.npz for every so many cases, of arrays [K, copies, ...]; what could not be read is missing.
`systems.lab126.cache_examples` makes them. There are seven kinds:

- `layouts`: for TripleGuidedCNN, ReMapCNN and the suite `critic`: the try-on path as far as the layouts. Some arrays
  have an axis of two, for a target layout: the output image's own, and the one for another person's pose image.
- `latents`: for LatentPriorCNN: the latents that it reads and the one that it should say, the coarse map's labels, and
  the true layout. The second copy is the mirror image.
- `coarse`: for LayoutRefinementCNN: coarse maps, what they were made from, and the true layout.
- `people`: the catalogue as it is drawn; `drawn_people` has it all.
- `outfits`: people of the catalogue in outfits of one style; `outfits` has it all.
- `clips`: people of the catalogue who move; `clips` has it all.
- `shading`: people of the catalogue, and how light falls on them; `lit_people` has it all.

Cases are those of `catalogue.cases`, and nobody is shown by two files; or photos, for `layouts`.

Conventions: arrays as `layout_batch` and `latent_batch` say them, which is what batches hold. In a file of `layouts`
there is one copy, 'guides' for 'guide', and the axis of two in `BOTH`; flows are those of a quarter of the resolution.
"""

import functools
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import jax
import numpy as np

from vton_jax.core import keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.files import replacing, require_writable, writing
from vton_jax.core.types import Garment, Layout
from vton_jax.inputs import augment, input_pipeline, labelled_photos, photo_cases

# Of one file: as many as there are characters who lend each other clothes, so that nobody appears in two files; but
# `people`, `outfits`, `coarse` and `shading` show everybody several times, and those of `clips` have one clip each.
CASES = {"layouts": 32, "latents": 32, "coarse": 15, "people": 30, "outfits": 60, "clips": 20, "shading": 60}
COMMAND = "python -m vton_jax.cache_examples"
BLOCK = 8  # side of the blocks in which LatentPriorCNN sees coarse maps
QUARTER = 4  # side of the blocks in which flows are kept
RECOLOURED_FRACTION = 0.6  # of the examples, whose garment is dyed
DYE = 0.35  # of log gamma, standard deviation: common to all channels, and as much in each
BOTH = ("guides", "target_keypoints", "target_visible")
_THREADS = min(4, os.cpu_count() or 1)  # that vary the examples of a batch: OpenCV and NumPy work outside of the lock
_FIRST_LAYOUTS = 500_000 * CASES["layouts"]  # number of their first case: other people than `latents` shows


# ------------------------------------------------------------------------------------------------------------- batches


def layout_batch(count: int, size: tuple[int, int]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a batch of `layouts`.

    'dress_image' and 'dress_segmentation' show the garment alone; 'input_segmentation' is as read,
    'output_segmentation' the truth, 'guide' a target layout; 'flow' is the true one, and 'flow_visible' the
    fraction of each block that it is known for.
    """
    small, joints = (count, size[0] // QUARTER, size[1] // QUARTER), (count, keypoints.NUM_JOINTS)
    kinds = {
        np.uint8: {f"{name}_image": (count, *size, 3) for name in ("input", "dress", "output")}
        | {f"{name}_segmentation": (count, *size) for name in ("input", "dress", "output")}
        | {"guide": (count, *size)},
        np.float32: {"target_keypoints": (*joints, 2), "donor_keypoints": (*joints, 2), "flow_visible": small},
        np.float16: {"flow": (*small, 2)},
        bool: {"target_visible": joints, "donor_visible": joints, "donor_flat": (count,)},
        np.int32: {"garment_type": (count,)},
    }
    return _shapes(kinds)


def latent_batch(count: int, size: tuple[int, int], latent_size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a batch of `latents`; 'coarse_maps' counts the pixels of each label in each block."""
    blocks = tuple(side // BLOCK for side in size)
    return {
        **{f"z_{who}": jax.ShapeDtypeStruct((count, latent_size), np.float32) for who in ("user", "pose", "output")},
        "coarse_maps": jax.ShapeDtypeStruct((count, *blocks, segmentation.NUM_LABELS), np.uint8),
        "output_segmentation": jax.ShapeDtypeStruct((count, *size), np.uint8),
    }


def coarse_batch(count: int, size: tuple[int, int]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a batch of `coarse`.

    'coarse' is the map with `UNKNOWN`, 'truth' what it should have become; 'user_labels', 'pose_labels' and
    'dress_labels' are those of what it was made from, at half the size, the garment alone in the last.
    """
    joints = {who: (count, keypoints.NUM_JOINTS) for who in ("pose", "dress")}
    half = size[0] // 2, size[1] // 2
    kinds = {
        np.uint8: {name: (count, *size) for name in ("coarse", "truth")}
        | {f"{who}_labels": (count, *half) for who in ("user", "pose", "dress")},
        np.float32: {f"{who}_keypoints": (*shape, 2) for who, shape in joints.items()},
        bool: {f"{who}_visible": shape for who, shape in joints.items()},
        np.int32: {"garment_type": (count,)},
    }
    return _shapes(kinds)


def _shapes(kinds: dict) -> dict[str, jax.ShapeDtypeStruct]:
    return {name: jax.ShapeDtypeStruct(shape, kind) for kind, of in kinds.items() for name, shape in of.items()}


def is_folder(dataset: str | Path) -> bool:
    """Whether --dataset names a folder of cached examples."""
    return bool(files_of(dataset))


def are_layouts(dataset: str | Path) -> bool:
    """Whether --dataset names a folder of the kind `layouts`."""
    if not (files := files_of(dataset)):
        return False
    with np.load(files[0]) as file:
        return "guides" in file.files


def files_of(folder: str | Path) -> list[Path]:
    """The files of a folder in the order of their numbers; half-written ones begin with a dot."""
    return sorted(path for path in Path(folder).glob("*.npz") if not path.name.startswith("."))


def read_file(path: Path, names: Sequence[str] = (), unused: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The arrays [K, copies, ...] of a file: those in `names`, by default all but `unused`.

    Raises: UserError where the file is damaged or lacks one of `names`.
    """
    try:
        with np.load(path) as file:
            if missing := [name for name in names if name not in file.files]:
                raise UserError(f"{path} lacks {', '.join(missing)}: {COMMAND} has not made it, or for another kind.")
            arrays = {name: file[name] for name in names or file.files if name not in unused}
    except UserError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile):
        raise UserError(f"{path} is damaged; remove it and let {COMMAND} make it again.") from None
    return arrays


def _read(folder: str | Path, split: str | None, unused: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """All arrays [N, ...] of a split: `validation` is every twentieth file, another one the rest, None all."""
    files = files_of(folder)
    if split is not None:
        files = [path for number, path in enumerate(files) if (number % 20 == 19) == (split == "validation")]
    if not files:
        raise UserError(f"{folder} holds no cached examples for the split {split!r}.")
    parts = [read_file(path, unused=unused) for path in files]
    return {n: np.concatenate([part[n].reshape(-1, *part[n].shape[2:]) for part in parts]) for n in parts[0]}


def open_latents(folder: str | Path, batch_size: int, seed: int) -> input_pipeline.PositionedBatches:
    """Shuffled batches of all `latents` in a folder. Raises UserError where a file is damaged, or none is there."""
    return input_pipeline.memory_batches(_read(folder, None), batch_size, seed)


def open_layouts(
    folder: str | Path, batch_size: int, seed: int, size: tuple[int, int], split: str, *, unused: Sequence[str] = ()
) -> input_pipeline.PositionedBatches:
    """Shuffled batches of the `layouts` in a folder; of an example either target layout is drawn, half are mirrored.

    Those of `train` are recoloured: all pictures a little, the donated garment a lot (`recoloured`).

    Args: split: every twentieth file is `validation`. unused: names of arrays that need not be read.
    Raises: UserError where the folder holds no such examples, or examples of another size.
    """
    arrays = _of_kind("layouts", "guides", folder, size, (split, unused))
    examples = input_pipeline.memory_batches(arrays, batch_size, seed)
    first, num_rows = input_pipeline.own_rows(batch_size)

    def varied(batch, row, which, flipped, generator):
        example = {n: a[row][int(which < 0.5)] if n in BOTH else a[row] for n, a in batch.items()}
        example["guide"] = example.pop("guides")
        if split == "train":
            example = recoloured(example, generator)
        return mirror(example) if flipped < 0.5 else example

    def batch_at(position):
        draws = np.random.default_rng((seed, position)).random((batch_size, 2))[first : first + num_rows]
        batch = examples.batch_at(position)
        generators = [np.random.default_rng((seed, position, first + row)) for row in range(num_rows)]
        with ThreadPoolExecutor(_THREADS) as pool:
            rows = list(pool.map(functools.partial(varied, batch), range(num_rows), *draws.T, generators))
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    return input_pipeline.PositionedBatches(batch_at)


def open_coarse(
    folder: str | Path, batch_size: int, seed: int, size: tuple[int, int], split: str
) -> input_pipeline.PositionedBatches:
    """Shuffled batches of the `coarse` examples in a folder, half of them mirrored. Args and errors: `open_layouts`."""
    return half_mirrored(_of_kind("coarse", "coarse", folder, size, (split,)), batch_size, seed, mirror_coarse)


def half_mirrored(
    arrays: dict, batch_size: int, seed: int, mirror: Callable[[dict], dict]
) -> input_pipeline.PositionedBatches:
    """Shuffled batches of examples, arrays [N, ...], half of them as `mirror` makes them of a batch."""
    examples = input_pipeline.memory_batches(arrays, batch_size, seed)
    first, num_rows = input_pipeline.own_rows(batch_size)

    def batch_at(position):
        draws = np.random.default_rng((seed, position)).random(batch_size)[first : first + num_rows]
        batch = examples.batch_at(position)
        mirrored = mirror(batch)
        pick = lambda a, b: np.where((draws < 0.5).reshape(-1, *[1] * (a.ndim - 1)), a, b)  # noqa: E731
        return {name: pick(mirrored[name], array) for name, array in batch.items()}

    return input_pipeline.PositionedBatches(batch_at)


def mirror_coarse(examples: dict) -> dict:
    """Examples of `coarse` [N, ...] mirrored left to right."""
    out, width = dict(examples), examples["coarse"].shape[-1]
    for name in ("coarse", "truth", "user_labels", "pose_labels", "dress_labels"):
        out[name] = segmentation.mirror(examples[name])
    for who in ("pose", "dress"):
        names = f"{who}_keypoints", f"{who}_visible"
        out |= dict(zip(names, keypoints.mirror(examples[names[0]], examples[names[1]], width), strict=True))
    return out


def _of_kind(kind: str, mark: str, folder: str | Path, size: tuple[int, int], which: tuple) -> dict[str, np.ndarray]:
    """All arrays of a folder. Args: mark: the name of one that no other kind has. which: what `_read` is asked for.

    Raises: UserError where they are of another kind or size.
    """
    if not is_folder(folder):
        raise UserError(f"--dataset={folder} holds no cached examples; make them with {COMMAND} --kind={kind}.")
    arrays = _read(folder, *which)
    if mark not in arrays:
        raise UserError(f"--dataset={folder} holds other examples than those of {COMMAND} --kind={kind}.")
    if (found := arrays[mark].shape[-2:]) != tuple(size):
        raise UserError(f"--dataset={folder} is of {'x'.join(map(str, found))}, not of --size.")
    return arrays


def recoloured(example: dict, generator: np.random.Generator) -> dict:
    """An example of `layouts` in another light, and often its donated garment in another colour, alone and worn alike.

    So few garments would otherwise be learnt by heart. Black and white stay what they are, as in `augment.recolour`.
    """
    gamma = np.exp(generator.normal(0, augment.GAMMA) + generator.normal(0, augment.GAMMA / 2, 3))
    out = augment.recolour(example, gamma)
    if generator.random() < RECOLOURED_FRACTION:
        dyed = augment.recolour(out, np.exp(generator.normal(0, DYE) + generator.normal(0, DYE, 3)))
        kind = segmentation.GARMENT_TYPES[int(example["garment_type"])]
        worn = segmentation.region(example["output_segmentation"], segmentation.TARGET_LABELS[kind])
        soft = cv2.blur(worn.astype(np.float32), (3, 3))[..., None]
        blended = soft * dyed["output_image"] + (1 - soft) * out["output_image"]
        out |= {"dress_image": dyed["dress_image"], "output_image": np.round(blended).astype(np.uint8)}
    return out


def mirror(example: dict) -> dict:
    """Mirrors an example of `layouts` left to right; left and right labels and joints change their names."""
    width = example["guide"].shape[-1]
    out = dict(example)
    for name, value in example.items():
        if name in ("guide", *(f"{part}_segmentation" for part in ("input", "dress", "output"))):
            out[name] = segmentation.mirror(value)
        elif name == "flow":
            out[name] = value[:, ::-1] * np.array([-1, 1], value.dtype)
        elif (value.ndim >= 2 and not name.endswith(("_keypoints", "_visible"))) or name == "flow_visible":
            out[name] = value[:, ::-1]
    for who in ("target", "donor"):
        names = f"{who}_keypoints", f"{who}_visible"
        out |= dict(zip(names, keypoints.mirror(example[names[0]], example[names[1]], width), strict=True))
    return out


# --------------------------------------------------------------------------------------------------------------- files


def case_source(kind: str, size: tuple[int, int], split: str, photos: str | None = None) -> Callable[[int], dict]:
    """number of a file -> the `CASES[kind]` cases that it is made from, as `catalogue.cases.draw_cases` has them.

    Args: photos: a prepared dataset of photos with labels; None: the catalogue. Raises: UserError where it is none.
    """
    count = CASES[kind]
    if photos:
        pictures = labelled_photos.read(photos, split)
        return lambda number: photo_cases.draw_cases(*pictures, count, size, number)
    from vton_jax.catalogue import cases

    start = _FIRST_LAYOUTS if kind == "layouts" else 0
    return lambda number: cases.draw_cases(count, size, split, first=start + number * count)


def change_source(size: tuple[int, int], split: str, grounds: str | None = None) -> Callable[[int], Iterator]:
    """number of a file -> the `CASES["coarse"]` changes of clothes that it is made from, see `catalogue.changes`.

    Args: grounds: a folder of places without people. Raises: UserError where it cannot be used.
    """
    from vton_jax.catalogue import cases, changes
    from vton_jax.inputs import drawn_people

    count, places = CASES["coarse"], drawn_people.open_grounds(grounds, split)
    return lambda number: (
        changes.draw(index, split, size, cases.WHOLE, places) for index in range(number * count, (number + 1) * count)
    )


def write(folder: str | Path, numbers: range, make: Callable[[int], dict[str, np.ndarray]], compressed: bool) -> None:
    """Writes `make(number)`, arrays [K, copies, ...], to a file for each number.

    Files that are there are not made again, so that the same call goes on where it stopped. Raises: UserError where the
    folder cannot be written to.
    """
    from vton_jax.media.progress import Progress

    folder = Path(folder).expanduser()
    require_writable(folder / "0000.npz")
    progress = Progress(len(numbers), 0)
    for done, number in enumerate(numbers, start=1):
        path = folder / f"{number:04d}.npz"
        if not path.exists():
            arrays = make(number)
            with replacing(path) as temporary, writing(path):
                (np.savez_compressed if compressed else np.savez)(temporary, **arrays)
        progress.advance(done)
        progress.show(done, {})
    progress.close()


def pack_layouts(cases: dict, users: Layout, dresses: Garment, targets: Sequence[Layout]) -> dict[str, np.ndarray]:
    """The arrays of a file of `layouts` from K cases.

    Args: users: layouts [K]. dresses: garments [K] whose layouts show the garment alone. targets: the two target
    layouts [K] of each.
    """
    goal = jax.tree.map(lambda *a: np.stack(a, 1), *targets)
    visible = block_means(cases["flow_visible"][..., None].astype(np.float32), QUARTER)
    shown = np.where(cases["flow_visible"][..., None], cases["flow"], 0)
    flow = block_means(shown, QUARTER) / np.maximum(visible, 1e-6) / QUARTER
    examples = {
        "input_image": cases["input_image"],
        "dress_image": np.round(dresses.image * 255).astype(np.uint8),
        "output_image": cases["output_image"],
        "input_segmentation": users.segmentation,
        "dress_segmentation": dresses.layout.segmentation,
        "output_segmentation": cases["output_segmentation"],
        "guides": goal.segmentation,
        "target_keypoints": goal.keypoints,
        "target_visible": goal.visible,
        "donor_keypoints": dresses.layout.keypoints,
        "donor_visible": dresses.layout.visible,
        "flow": flow.astype(np.float16),
        "flow_visible": visible[..., 0],
        "garment_type": dresses.garment_type.astype(np.int32),
        "donor_flat": dresses.flat,
    }
    return {name: array[:, None] for name, array in examples.items()}


def pack_latents(latents: dict, mirrored: dict, coarse: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of a file of `latents` from K cases.

    Args: latents: {'z_user', 'z_pose', 'z_output': [K, N]}. mirrored: those of the mirror images. coarse, truth: the
    coarse maps and the true layouts, uint8 [K, H, W].
    """
    twice = lambda maps: np.stack([maps, segmentation.mirror(maps)], 1)  # noqa: E731
    return {name: np.stack([latents[name], mirrored[name]], 1) for name in latents} | {
        "coarse_maps": count_labels(twice(coarse), BLOCK),
        "output_segmentation": twice(truth),
    }


def block_means(maps: np.ndarray, block: int) -> np.ndarray:
    """Means over blocks of pixels: [K, H, W, C] -> [K, H/block, W/block, C]."""
    count, height, width, channels = maps.shape
    return maps.reshape(count, height // block, block, width // block, block, channels).mean((2, 4))


def every_second(labels: np.ndarray) -> np.ndarray:
    """Label maps [..., H, W] at half their size, uint8."""
    return np.asarray(labels, np.uint8)[..., ::2, ::2]


def count_labels(maps: np.ndarray, block: int) -> np.ndarray:
    """Label maps [..., H, W] -> how many pixels of each label each block holds, uint8 [..., H/block, W/block, 18]."""
    *lead, height, width = maps.shape
    blocks = maps.reshape(*lead, height // block, block, width // block, block)
    counts = [(blocks == label).sum((-3, -1)) for label in range(segmentation.NUM_LABELS)]
    return np.stack(counts, -1).astype(np.uint8)
