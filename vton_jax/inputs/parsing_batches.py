"""Batches of photos with labels for ParserCNN: random views, backgrounds and colours of a set held in memory.

Conventions: photos uint8 [H, W, 3] of any size with labels uint8 [H, W] (ATR's ids, or `UNKNOWN`); a batch is {'image'
uint8 [B, H, W, 3], 'segmentation' uint8 [B, H, W]} of one size. `generator` is NumPy's.
"""

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from vton_jax.core import framing, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import catalogue_examples, input_pipeline

HEIGHT = 384  # of the photos held in memory: half as much again as the network's 256, for close views
MANNEQUINS = 240  # frames of the catalogue among the photos (about a quarter with CCP), so that both can be read


def photo_batches(
    dataset: str, batch_size: int, seed: int, size: tuple[int, int], split: str = "train"
) -> input_pipeline.PositionedBatches:
    """Batches of prepared datasets of photos with label maps, or of the human catalogue; for `train` augmented.

    Args: dataset: a folder, or several with weights (`input_pipeline.parse_mixture`). Photos alone get some mannequins
    among them. Errors as in `read_photos`.
    """
    mixture = input_pipeline.parse_mixture(str(dataset))
    if len(mixture) > 1 or _is_catalogue(dataset):
        return _mixed(mixture, batch_size, seed, size, split)
    photos, labels = read_photos(dataset, split)
    if split != "train":
        return memory_batches(photos, labels, batch_size, seed, size, view=as_it_is)
    for image, parsed in _mannequins(seed):
        photos.append(image)
        labels.append(parsed)
    return memory_batches(photos, labels, batch_size, seed, size, view=augment)


def _is_catalogue(dataset: str) -> bool:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(input_pipeline.find_dataset(dataset)))
    return catalogue_examples.is_catalogue(builder.info.features)


def _mixed(
    mixture: Sequence[tuple[str, float]], batch_size: int, seed: int, size: tuple[int, int], split: str
) -> input_pipeline.FileBatches:
    """Batches in which every dataset has its weight; the catalogue's pictures stay on disk."""
    import grain
    import tensorflow_datasets as tfds

    parts = []
    for number, (folder, _) in enumerate(mixture):
        if _is_catalogue(folder):
            builder = tfds.builder_from_directory(str(input_pipeline.find_dataset(folder)))
            source = catalogue_examples.People(builder.as_data_source(split))
        else:
            pairs = zip(*read_photos(folder, split), strict=True)
            source = [{"image": photo, "segmentation": labels} for photo, labels in pairs]
        parts.append(grain.MapDataset.source(source).seed(seed + number).shuffle().repeat())
    examples = parts[0] if len(parts) == 1 else grain.MapDataset.mix(parts, [weight for _, weight in mixture])
    view = augment if split == "train" else as_it_is

    def look(example: dict, generator: np.random.Generator) -> dict:
        image, labels = view(example["image"], example["segmentation"], size, generator)
        return {"image": image, "segmentation": labels}

    return input_pipeline.batches_from(examples.random_map(look, seed=seed), batch_size)


def read_photos(dataset: str, split: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The photos of a prepared dataset that have labels, and these, `HEIGHT` pixels high.

    `dataset` is a folder made by data/build.py whose examples have `image` and `segmentation`. Raises UserError for
    another one, and where no photo has labels.
    """
    import tensorflow_datasets as tfds

    folder = input_pipeline.find_dataset(dataset)
    builder = tfds.builder_from_directory(str(folder))
    if split not in builder.info.splits:
        raise UserError(f"{folder} has no split {split!r}; it has {', '.join(builder.info.splits)}.")
    if not {"image", "segmentation"} <= set(builder.info.features):
        raise UserError(f"{folder} holds no photos with label maps; prepare Clothing Co-Parsing with data/build.py.")
    photos, labels = [], []
    for example in builder.as_data_source(split):
        photo, parsed = example["image"], example["segmentation"][..., 0]
        if (parsed == segmentation.UNKNOWN).all():
            continue
        input_pipeline.check_labels(parsed, str(folder))
        small = (HEIGHT, round(HEIGHT * photo.shape[1] / photo.shape[0]))
        photos.append(framing.resize(photo, small))
        labels.append(framing.resize(parsed, small, nearest=True))
    if not photos:
        raise UserError(f"No photo of the split {split!r} of {folder} has a label map.")
    return photos, labels


def _mannequins(seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    source = input_pipeline.mannequin_batches(seed, 1, (256, 192))
    for _ in range(MANNEQUINS // 2):
        example = next(source)
        for person in ("input", "output"):
            yield tuple(np.asarray(example[f"{person}_{part}"][0]) for part in ("image", "segmentation"))


def memory_batches(
    photos: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    batch_size: int,
    seed: int,
    size: tuple[int, int],
    *,
    view: Callable,
) -> input_pipeline.PositionedBatches:
    """Shuffled batches of views `(photo, labels, size, generator) -> (image, labels)`.

    The batch at a position depends on the seed alone, so that a run resumes exactly.
    """
    count = len(photos)
    first, num_rows = input_pipeline.own_rows(batch_size)

    def batch_at(position):
        places = range(position * batch_size + first, position * batch_size + first + num_rows)
        orders = {e: np.random.default_rng((seed, 0, e)).permutation(count) for e in {p // count for p in places}}
        examples = []
        for place in places:
            index = orders[place // count][place % count]
            examples.append(view(photos[index], labels[index], size, np.random.default_rng((seed, 1, place))))
        images, maps = zip(*examples, strict=True)
        return {"image": np.stack(images), "segmentation": np.stack(maps)}

    return input_pipeline.PositionedBatches(batch_at)


def as_it_is(photo: np.ndarray, labels: np.ndarray, size: tuple[int, int], generator) -> tuple[np.ndarray, np.ndarray]:
    """The whole photo within `size`, as it is evaluated."""
    del generator
    return framing.fit(photo, size)[0], framing.fit(labels, size, fill=0, nearest=True)[0]


def augment(
    photo: np.ndarray, labels: np.ndarray, size: tuple[int, int], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One random view of `size` (height, width): (image, labels)."""
    image, labels = random_view(photo, labels, size, generator)
    if generator.random() < 0.5:
        image, labels = image[:, ::-1], segmentation.mirror(labels)
    image = random_background(framing.to_float(image), labels, generator)
    image = random_colours(image, generator)
    return np.round(image * 255).astype(np.uint8), np.ascontiguousarray(labels)


def random_view(
    photo: np.ndarray, labels: np.ndarray, size: tuple[int, int], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Scales, turns, stretches and shifts; a view is either near the whole photo or anything from far off to close.

    Beyond the photo its border goes on, or one colour, and the label is background.
    """
    height, width = photo.shape[:2]
    near = generator.random() < 0.7
    zoom = np.exp(generator.uniform(*(np.log((0.9, 1.3)) if near else np.log((0.6, 2.2)))))
    scale = min(size[0] / height, size[1] / width) * zoom
    stretch = np.exp(generator.normal(0, 0.05))
    angle = np.deg2rad(generator.normal(0, 4))
    linear = scale * np.array(
        [[np.cos(angle) * stretch, -np.sin(angle)], [np.sin(angle) * stretch, np.cos(angle)]], np.float32
    )
    # How far the centre may go: to the photo's borders where it is larger than the view, a little where it is smaller.
    room = np.abs(np.array([width, height]) * scale - np.array(size[::-1])) / 2
    shift = generator.uniform(-1, 1, 2) * np.maximum(room, 0.04 * np.array(size[::-1]))
    offset = (np.array(size[::-1]) - 1) / 2 + shift - linear @ ((np.array([width, height]) - 1) / 2)
    matrix = np.concatenate([linear, offset[:, None]], 1).astype(np.float32)
    fill = {"borderMode": cv2.BORDER_REPLICATE}
    if generator.random() < 0.3:
        fill = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": generator.integers(0, 256, 3).tolist()}
    view = cv2.warpAffine(photo, matrix, size[::-1], flags=cv2.INTER_LINEAR, **fill)
    return view, cv2.warpAffine(labels, matrix, size[::-1], flags=cv2.INTER_NEAREST)


def random_background(image: np.ndarray, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Now and then a catalogue's background behind the person: white, or one bright colour, with a soft edge."""
    choice = generator.random()
    if choice > 0.2:
        return image
    colour = np.ones(3) if choice < 0.14 else generator.uniform(0.4, 1.0) + generator.normal(0, 0.04, 3)
    person = cv2.GaussianBlur((labels > 0).astype(np.float32), (0, 0), generator.uniform(0.5, 1.0))[..., None]
    return (person * image + (1 - person) * np.clip(colour, 0, 1)).astype(np.float32)


def random_colours(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Other light, contrast, tint and saturation, now and then blur or noise; floats in [0, 1] in and out."""
    image = np.clip(image, 0, 1) ** np.exp(generator.normal(0, 0.2))
    grey = image.mean(-1, keepdims=True)
    saturation = 0.0 if generator.random() < 0.03 else np.exp(generator.normal(0, 0.25))
    image = grey + (image - grey) * saturation
    image = (image - 0.5) * np.exp(generator.normal(0, 0.15)) + 0.5 + generator.normal(0, 0.05)
    image = image * np.exp(generator.normal(0, 0.06, 3))
    choice = generator.random()
    if choice < 0.1:
        image = cv2.GaussianBlur(image, (0, 0), generator.uniform(0.4, 1.2))
    elif choice < 0.2:
        image = image + generator.normal(0, generator.uniform(0.005, 0.03), image.shape)
    return np.clip(image, 0, 1).astype(np.float32)
