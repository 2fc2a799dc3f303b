"""Batches for training: drawn as they are needed, from a prepared TFDS dataset, from memory, or from the device.

Conventions: an example is a dict of the Pose-and-Dress contract: images uint8 [H, W, 3], segmentations uint8 [H, W],
keypoints float32 [18, 2] with visible bool [18], garment_type int32 [], optionally flow float32 [H, W, 2] with
flow_visible bool [H, W] and donor_flat bool [] (the donor is a garment laid flat). A batch has a leading axis B.
Every source iterates over batches; `get_state()` is its position and `set_state(state)` returns there, so that
a resumed run sees the batches it would have seen. The batch at a position depends on the seed alone, whatever the
number of processes: `batch_size` is that of all processes together, and each draws its own rows of it.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import augment as augmentation
from vton_jax.inputs import catalogue_examples, field_examples

IMAGES = ("input_image", "donor_image", "output_image", "dress_image")
PEOPLE = ("input", "donor", "output")
REQUIRED = (
    *IMAGES,
    *(f"{person}_{part}" for person in PEOPLE for part in ("segmentation", "keypoints", "visible")),
    "garment_type",
)
OPTIONAL = ("flow", "flow_visible", "donor_flat")


def own_rows(batch_size: int) -> tuple[int, int]:
    """(first row, number of rows) of a batch that this process draws. Raises UserError where they are not even."""
    num_rows, rest = divmod(batch_size, jax.process_count())
    if rest:
        raise UserError(f"--batch_size={batch_size} should be a multiple of the {jax.process_count()} processes.")
    return jax.process_index() * num_rows, num_rows


class PositionedBatches:
    """Batches that are a function of their position, counted from 0."""

    kind = "memory"  # a checkpoint notes it: a position means nothing to another kind
    on_device = False  # whether a program can make them itself

    def __init__(self, batch_at: Callable):
        self.batch_at = batch_at  # pure
        self.position = 0

    def __iter__(self):
        return self

    def __next__(self) -> dict:
        batch = self.batch_at(self.position)
        self.position += 1
        return batch

    def shapes(self) -> dict:
        """Shapes and types of a batch."""
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), np.asarray(a).dtype), self.batch_at(0))

    def get_state(self) -> dict:
        return {"position": self.position}

    def set_state(self, state: dict) -> None:
        self.position = int(state["position"])


class DeviceBatches(PositionedBatches):
    """Batches made on the device of what lies there.

    `batch_at` is a pytree (`jax.tree_util.Partial`) whose leaves are `arrays`, so that a program that makes batches
    itself is given them as an argument, not as constants. Args: draw: traceable, (arrays, key) -> batch, this process's
    rows. first: the first of them.
    """

    on_device = True

    def __init__(self, draw: Callable, arrays, seed: int, first: int):
        root = jax.random.fold_in(jax.random.PRNGKey(seed), first)
        at = jax.jit(lambda arrays, root, position: draw(arrays, jax.random.fold_in(root, position)))
        super().__init__(jax.tree_util.Partial(at, arrays, root))

    def shapes(self) -> dict:
        return jax.eval_shape(self.batch_at, 0)


class FileBatches(PositionedBatches):
    """Batches of an endless Grain dataset with random access; threads read ahead of the position."""

    kind = "files"

    def __init__(self, dataset, batch_size: int, options):
        self.dataset, self.options = dataset, options
        self.first, self.num_rows = own_rows(batch_size)
        self.batch_size = batch_size
        self.reader, self.reader_at = None, -1
        self.read = -1, {}  # the last batch and its position: a run looks at its first batch before it trains on it
        super().__init__(lambda position: next(self._open(position)))

    def _open(self, position: int):
        """An iterator over this process's rows from a position on."""
        import grain

        def place(number):
            batch, row = divmod(number + position * self.num_rows, self.num_rows)
            return self.dataset[batch * self.batch_size + self.first + row]

        numbers = grain.MapDataset.range(sys.maxsize - position * self.num_rows)
        return iter(numbers.map(place).to_iter_dataset(self.options).batch(self.num_rows, drop_remainder=True))

    def __next__(self) -> dict:
        if self.read[0] != self.position:
            if self.reader_at != self.position:
                self.reader = self._open(self.position)
            self.read, self.reader_at = (self.position, next(self.reader)), self.position + 1
        self.position += 1
        return dict(self.read[1])


def memory_batches(examples: dict[str, np.ndarray], batch_size: int, seed: int) -> PositionedBatches:
    """Shuffled batches of arrays with a leading axis of examples; for tests and debugging. Drops no example."""
    count = len(next(iter(examples.values())))
    first, num_rows = own_rows(batch_size)

    def batch_at(position):
        places = range(position * batch_size + first, position * batch_size + first + num_rows)
        orders = {e: np.random.default_rng((seed, e)).permutation(count) for e in {p // count for p in places}}
        index = np.array([orders[place // count][place % count] for place in places])
        return {name: np.asarray(array)[index] for name, array in examples.items()}

    return PositionedBatches(batch_at)


def find_dataset(data_dir: str | Path) -> Path:
    """The folder of the one prepared dataset in or below `data_dir`; UserError where there is none or several."""
    folder = Path(data_dir)
    if not folder.is_dir():
        raise UserError(
            f"There is no dataset folder {folder}; prepare one with python data/build.py, or leave --dataset."
        )
    found = sorted(path.parent for path in folder.glob("**/dataset_info.json") if ".incomplete" not in str(path))
    if len(found) != 1:
        listed = ", ".join(map(str, found)) or "none"
        raise UserError(f"--dataset={folder} should lead to one prepared dataset; found: {listed}.")
    return found[0]


def parse_mixture(dataset: str) -> list[tuple[str, float]]:
    """`A:0.7,B:0.3` -> [("A", 0.7), ("B", 0.3)]; one folder alone has the weight 1. UserError for what is neither."""
    parts = [part.strip() for part in dataset.split(",")]
    if len(parts) == 1 and not _is_number(dataset.rpartition(":")[2]):
        return [(dataset, 1.0)]
    mixture = []
    for part in parts:
        folder, _, weight = part.rpartition(":")
        if not folder or not _is_number(weight) or not 0 < float(weight) < float("inf"):
            raise UserError(f"--dataset={dataset}: a mixture is FOLDER:WEIGHT,FOLDER:WEIGHT with weights above 0.")
        mixture.append((folder, float(weight)))
    return mixture


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def file_examples(
    dataset: str,
    split: str,
    seed: int,
    size: tuple[int, int] | None = None,
    augment: Callable[[dict, np.random.Generator], dict] | None = augmentation.at_random,
):
    """Examples of prepared datasets as an endless Grain dataset with random access, mixed by weight (`parse_mixture`).

    The example at a place depends on the seed and the place alone. Of each dataset, all examples come once before any
    comes again, in an order that is new every time. Raises UserError where there is no such dataset or split.
    """
    import grain
    import tensorflow_datasets as tfds

    def read(features: dict) -> dict:
        return from_features(features, size)

    mixture, parts = parse_mixture(dataset), []
    for number, (data_dir, _) in enumerate(mixture):
        folder = find_dataset(data_dir)
        builder = tfds.builder_from_directory(str(folder))
        if split not in builder.info.splits:
            raise UserError(f"{folder} has no split {split!r}; it has {', '.join(builder.info.splits)}.")
        check_garment_types(builder.info.features, folder)
        source = builder.as_data_source(split)
        if catalogue_examples.is_catalogue(builder.info.features):
            source = catalogue_examples.BothDonors(source)
        if len(source) == 0:
            raise UserError(f"The split {split!r} of {folder} holds no example.")
        first = from_features(source[0])
        if size is not None:
            check_frames(first["output_image"].shape[:2], tuple(size), folder)
        if (first["output_segmentation"] == segmentation.UNKNOWN).all():
            print(f"{folder} has no labels: it teaches nothing about layouts, and garments cannot be cut out of its "
                  "pictures.", file=sys.stderr)  # fmt: skip
        parts.append(grain.MapDataset.source(source).seed(seed + number).shuffle().repeat().map(read))
    examples = parts[0] if len(parts) == 1 else grain.MapDataset.mix(parts, [weight for _, weight in mixture])
    return examples if augment is None else examples.random_map(augment, seed=seed)


def tfds_batches(
    dataset: str | Path,
    split: str,
    batch_size: int,
    seed: int,
    size: tuple[int, int] | None = None,
    *,
    augment: Callable[[dict, np.random.Generator], dict] | None = augmentation.at_random,
    num_threads: int | None = None,
) -> FileBatches:
    """Endless batches of `file_examples`. Threads read, no worker processes."""
    return batches_from(file_examples(str(dataset), split, seed, size, augment), batch_size, num_threads)


def batches_from(
    examples, batch_size: int, num_threads: int | None = None, *, kind: Callable[..., FileBatches] = FileBatches
) -> FileBatches:
    """Batches of an endless Grain dataset with random access, which threads read ahead of what is asked for."""
    import grain

    threads = min(os.cpu_count() or 1, 16) if num_threads is None else num_threads
    # Examples are read ahead, not batches: the buffer counts what stands before it.
    ahead = max(2 * batch_size // jax.process_count(), threads, 1)
    return kind(examples, batch_size, grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead))


def check_garment_types(features, folder: str | Path) -> None:
    """Raises UserError where the features of a prepared dataset number other garment types than those of today."""
    names = tuple(getattr(dict(features).get("garment_type"), "names", segmentation.GARMENT_TYPES))
    if names != segmentation.GARMENT_TYPES:
        raise UserError(
            f"{folder} was prepared when garment types were {', '.join(names)}, today they are "
            f"{', '.join(segmentation.GARMENT_TYPES)}; prepare it again with python data/build.py."
        )


def check_frames(frames: tuple[int, int], size: tuple[int, int], folder: str | Path) -> None:
    """Raises UserError where frames of (height, width) would be enlarged to become `size`."""
    if frames[0] < size[0] and frames[1] < size[1]:
        raise UserError(
            f"{folder} holds frames of {frames[0]}x{frames[1]}, which --size={size[0]}x{size[1]} would enlarge; give "
            f"--size={frames[0]}x{frames[1]}, or prepare another dataset."
        )


def open_batches(
    dataset: str,
    batch_size: int,
    seed: int,
    size: tuple[int, int],
    split: str = "train",
    *,
    pose_picture: bool = False,
) -> PositionedBatches:
    """The batches that `--dataset` names: `catalogue` (drawn as they are needed), or folders of prepared datasets.

    Files are augmented on the split `train` alone. Args: pose_picture: whether drawn examples have one.
    """
    from vton_jax.inputs import drawn_batches, drawn_people  # here: they are made of this module's batches

    if dataset == "catalogue":
        return drawn_batches.open_batches(seed, batch_size, size, split, pose_picture=pose_picture)
    if drawn_people.is_folder(dataset):
        return drawn_people.sample_batches(dataset, batch_size, seed, size, split)
    if any(Path(dataset).glob("*.npz")):
        raise UserError(f"{dataset} holds cached examples, from which other networks learn; this --model needs another "
                        "--dataset.")  # fmt: skip
    augment = augmentation.at_random if split == "train" else None
    return tfds_batches(dataset, split, batch_size, seed, size, augment=augment)


def check_labels(labels: np.ndarray, whose: str) -> None:
    """Raises UserError where labels are neither ATR's nor UNKNOWN."""
    if (wrong := (labels >= segmentation.NUM_LABELS) & (labels != segmentation.UNKNOWN)).any():
        raise UserError(
            f"{whose} has the label {labels[wrong].max()}, but ATR's labels end at {segmentation.NUM_LABELS - 1}; "
            "translate it with vton_jax.core.label_tables before data/build.py."
        )


def from_features(features: dict, size: tuple[int, int] | None = None) -> dict:
    """A contract example from what TFDS gives back: known keys, contract dtypes, brought to `size`.

    The features are Pose-and-Dress's or those that the field's datasets share. Labels are ATR's, or UNKNOWN.
    """
    if field_examples.is_field(features):
        features = field_examples.to_contract(features)
    if missing := [name for name in REQUIRED if name not in features]:
        raise UserError(f"The dataset lacks {', '.join(missing)}: it is no Pose-and-Dress dataset.")
    example = {name: np.asarray(features[name]) for name in REQUIRED + OPTIONAL if name in features}
    for name, value in example.items():
        if name.endswith(("_segmentation", "flow_visible")) and value.ndim == 3:
            value = value[..., 0]  # TFDS keeps a channel axis
        kind = np.uint8
        if name.endswith("visible") or name == "donor_flat":
            kind = bool
        elif name.endswith("keypoints") or name == "flow":
            kind = np.float32
        elif name == "garment_type":
            kind = np.int32
        example[name] = value.astype(kind, copy=False)
    for person in PEOPLE:
        check_labels(example[f"{person}_segmentation"], f"The dataset's {person}_segmentation")
    return example if size is None else augmentation.fit(example, tuple(size))
