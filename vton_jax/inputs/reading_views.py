"""Batches for ReaderCNN: views of pictures that stay on the device, drawn there.

A view is what a stranger's photo may be: the whole picture, the person or garment alone, a part of it, or something
small in the distance; turned, mirrored, in other light. The truth goes with it.

Conventions: pictures as in pictures.py, arrays [N, ...]; a batch is {'image' uint8 [B, H, W, 3]} and the fields of
`models.reader_cnn.Truth`. Places are (x, y) in pixels. The batch at a position depends on the seed alone.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.inputs import cached_examples, drawn_people, input_pipeline, pictures

_PERSON, _GARMENT = 1, 2  # of `models.reader_cnn.KINDS`
_LEVELS = 3  # of halved pictures, from which small views are drawn


@dataclasses.dataclass(frozen=True)
class Ranges:
    """What views show. Chances are of (the thing alone, the whole picture, a part of the thing, the thing small)."""

    person: tuple[float, ...] = (0.4, 0.2, 0.28, 0.12)
    garment: tuple[float, ...] = (0.6, 0.25, 0.05, 0.1)
    alone: tuple[float, float] = (0.7, 1.02)  # of the view that the thing fills
    whole: tuple[float, float] = (0.85, 1.2)  # of the view that the picture fills
    part: tuple[float, float] = (0.3, 0.95)  # of the thing's height that is in the view
    small: tuple[float, float] = (0.2, 0.65)  # of the view that the thing fills
    from_above: float = 0.6  # of views of a part that begin at the top of the thing
    turn: tuple[float, float] = (4.0, 9.0)  # degrees, standard deviation: of people, of garments
    one_colour: float = 0.3  # of views beyond whose picture one colour goes on, not its border
    new_ground: float = 0.2  # of people who stand before one colour
    pale: tuple[float, float] = (0.06, 0.3)  # of people and of garments in views with hardly any contrast


RANGES = Ranges()


@dataclasses.dataclass(frozen=True)
class Stands:
    """Where `standing` people are: as `compositing.normalisation` brings them, and about it."""

    top: float = 0.06  # of the view's height
    bottom: float = 0.93
    foot: float = 0.045  # of a person's height, below the ankle
    scale: float = 0.04  # standard deviation of log scale
    aside: float = 0.02  # of the view's height, standard deviation
    cut: float = 0.25  # of views that end early


STANDS = Stands()


class ReadingBatches(input_pipeline.DeviceBatches):
    """Batches of `parts`, (arrays of pictures.read, weight) each; a batch has its share of every part."""

    kind = "pictures"

    def __init__(self, parts: Sequence[tuple[dict, float]], batch_size: int, seed: int, size: tuple[int, int], views):
        first, rows = input_pipeline.own_rows(batch_size)
        weights = np.array([weight for _, weight in parts])
        ends = np.rint(np.cumsum(weights) / weights.sum() * rows).astype(int)
        counts = np.diff(ends, prepend=0)
        arrays = [jax.device_put(of) for (of, _), count in zip(parts, counts, strict=True) if count]
        counts = [int(count) for count in counts if count]
        draw = functools.partial(_draw, counts=counts, size=tuple(size), view=views)
        super().__init__(draw, arrays, seed, first)


def open_batches(dataset: str, batch_size: int, seed: int, size: tuple[int, int], split: str) -> ReadingBatches:
    """Batches of files of pictures and folders of drawn people, `A.npz:0.7,B:0.3`.

    Args: split: `train`: random views; another one: each picture whole. Raises: UserError where a part is neither.
    """
    parts = [(read_part(path, split), weight) for path, weight in input_pipeline.parse_mixture(str(dataset))]
    return ReadingBatches(parts, batch_size, seed, size, view if split == "train" else as_it_is)


def read_part(path: str | Path, split: str) -> dict[str, np.ndarray]:
    """The pictures of a file, or of a folder of cached examples of the kind `people`. Raises: UserError."""
    if Path(path).is_file():
        return pictures.read(path)
    if drawn_people.is_folder(path):
        return drawn_people.as_pictures(drawn_people.read(path, split))
    raise UserError(f"{path} is neither a file of python data/build.py pictures nor a folder of "
                    f"{cached_examples.COMMAND} --kind=people.")  # fmt: skip


def batch_shapes(batch_size: int, size: tuple[int, int]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a batch of `open_batches`, whose files need not be there."""
    facts = {name: jax.ShapeDtypeStruct((batch_size, *shape), kind) for name, (kind, shape) in pictures.FACTS.items()}
    shown = lambda *more: jax.ShapeDtypeStruct((batch_size, *size, *more), jnp.uint8)  # noqa: E731
    return facts | {"image": shown(3), "segmentation": shown()}


def are_pictures(dataset: str) -> bool:
    """Whether --dataset names files of pictures, alone or in a mixture."""
    return any(path.endswith(".npz") for path, _ in input_pipeline.parse_mixture(str(dataset)))


def open_people(dataset: str, batch_size: int, seed: int, size: tuple[int, int], split: str) -> ReadingBatches:
    """Batches of people as MultiPathCNN knows them, upright and whole in the frame: 'image', 'segmentation',
    'keypoints' and 'visible' (in sight, within the frame). Arguments and errors as in `open_batches`.
    """
    parts = []
    for path, weight in input_pipeline.parse_mixture(str(dataset)):
        arrays = read_part(path, split)
        parts.append(({name: array[arrays["kind"] == _PERSON] for name, array in arrays.items()}, weight))
    return ReadingBatches(parts, batch_size, seed, size, standing)


def _draw(parts: list[dict], key: jax.Array, *, counts: list[int], size: tuple[int, int], view) -> dict:
    canvas = [max(sides) for sides in zip(*(part["image"].shape[1:3] for part in parts), strict=True)]
    found = []
    for number, (arrays, count) in enumerate(zip(parts, counts, strict=True)):
        index = jax.random.randint(jax.random.fold_in(key, number), (count,), 0, len(arrays["image"]))
        chosen = {name: jnp.take(array, index, axis=0) for name, array in arrays.items()}
        room = [(0, whole - side) for whole, side in zip(canvas, chosen["image"].shape[1:3], strict=True)]
        # Beyond a picture nothing is looked at.
        chosen["segmentation"] = jnp.pad(
            chosen["segmentation"], [(0, 0), *room], constant_values=np.uint8(segmentation.UNKNOWN)
        )
        chosen["image"] = jnp.pad(chosen["image"], [(0, 0), *room, (0, 0)])
        found.append(chosen)
    together = jax.tree.map(lambda *rows: jnp.concatenate(rows), *found)
    keys = jax.random.split(jax.random.fold_in(key, len(parts)), sum(counts))
    return jax.vmap(functools.partial(view, size=size))(keys, together)


# ------------------------------------------------------------------------------------------------------------- one view


def as_it_is(key: jax.Array, picture: dict, *, size: tuple[int, int]) -> dict:
    """The whole picture within `size`, as it is evaluated."""
    del key
    height, width = picture["shown"][0], picture["shown"][1]
    step = jnp.maximum(height / size[0], width / size[1])
    middle = (jnp.stack([width, height]) - 1) / 2
    image, truth = _seen_through(picture, step * jnp.eye(2), middle, size=size, colour=jnp.zeros(3), border=True)
    return {"image": jnp.round(image * 255).astype(jnp.uint8)} | truth


def view(key: jax.Array, picture: dict, *, size: tuple[int, int]) -> dict:
    """A random view of one picture."""
    keys = jax.random.split(key, 6)
    garment = picture["kind"] == _GARMENT
    matrix, middle, part = _place(keys[0], picture, size)
    uniform = jax.random.uniform(keys[1], (4,))
    colour, border = jax.random.uniform(keys[2], (3,)), uniform[0] > RANGES.one_colour
    image, truth = _seen_through(picture, matrix, middle, size=size, colour=colour, border=border)
    image, truth = jax.tree.map(
        lambda a, b: jnp.where(uniform[1] < 0.5, a, b), _mirrored(image, truth, size), (image, truth)
    )
    image = _before_one_colour(keys[3], image, truth["segmentation"], picture["kind"] == _PERSON)
    image = _in_other_light(keys[4], image, jnp.where(garment, RANGES.pale[1], RANGES.pale[0]))
    labels = truth["segmentation"]
    shown = ((labels > 0) & (labels != segmentation.UNKNOWN)).mean() > 0.005
    told = shown | (labels == segmentation.UNKNOWN).all() | (picture["kind"] == 0)
    truth["kind"] = jnp.where(told, truth["kind"], -1)
    truth |= {name: jnp.where(part, -1, truth[name]) for name in ("garment_type", "sleeves")}
    return {"image": jnp.round(image * 255).astype(jnp.uint8)} | truth


def standing(key: jax.Array, picture: dict, *, size: tuple[int, int]) -> dict:
    """A person from `STANDS.top` to `STANDS.bottom` of the view, or nearly; some photos end early, and what stands in
    their last row goes on below, as the try-on brings such photos.
    """
    keys = jax.random.split(key, 6)
    left, top, right, bottom = _box(picture)
    joints = jnp.where(picture["known"], picture["keypoints"][:, 1], -jnp.inf).max()
    cut = bottom >= picture["shown"][0] - 2
    bottom = jnp.maximum(bottom, joints + STANDS.foot * (bottom - top))
    spread = jax.random.normal(keys[0], (3,))
    step = (bottom - top) / ((STANDS.bottom - STANDS.top) * size[0]) * jnp.exp(STANDS.scale * spread[0])
    shift = jnp.stack([0.5 * size[1], 0.5 * (STANDS.top + STANDS.bottom) * size[0]]) - jnp.array(size[::-1]) / 2
    middle = jnp.stack([(left + right) / 2, (top + bottom) / 2]) - step * (shift + STANDS.aside * size[0] * spread[1:])
    uniform = jax.random.uniform(keys[1], (4,))
    image, truth = _seen_through(
        picture, step * jnp.eye(2), middle, size=size, colour=jnp.ones(3), border=uniform[0] > RANGES.one_colour
    )
    below = (jnp.arange(size[0]) - (size[0] - 1) / 2) * step + middle[1] > picture["shown"][0] - 0.5
    blank = cut & below[:, None] & jnp.ones(size, bool)
    truth["segmentation"] = jnp.where(blank, segmentation.UNKNOWN, truth["segmentation"])
    image, truth = jax.tree.map(
        lambda a, b: jnp.where(uniform[1] < 0.5, a, b), _mirrored(image, truth, size), (image, truth)
    )
    image = _before_one_colour(keys[2], image, truth["segmentation"], True)
    image = _in_other_light(keys[3], image, jnp.zeros(()))
    last = jnp.where(uniform[2] < STANDS.cut, size[0] * jax.random.uniform(keys[4], minval=0.5), size[0]).astype(int)
    image = image[jnp.minimum(jnp.arange(size[0]), last - 1)]
    inside = ((truth["keypoints"] >= 0) & (truth["keypoints"] <= jnp.array(size[::-1]) - 1)).all(-1)
    visible = truth["known"] & truth["seen"] & inside
    return {
        "image": jnp.round(image * 255).astype(jnp.uint8),
        "segmentation": truth["segmentation"],
        "keypoints": jnp.where(visible[:, None], truth["keypoints"], 0),
        "visible": visible,
    }


def _box(picture: dict) -> jax.Array:
    """(left, top, right, bottom) of what a picture shows, or of all of it where labels do not say."""
    labels = picture["segmentation"]
    thing = (labels > 0) & (labels != segmentation.UNKNOWN)
    rows, columns = thing.any(1), thing.any(0)
    height, width = picture["shown"][0], picture["shown"][1]
    found = jnp.stack([
        jnp.argmax(columns), jnp.argmax(rows),
        labels.shape[1] - jnp.argmax(columns[::-1]), labels.shape[0] - jnp.argmax(rows[::-1]),
    ])  # fmt: skip
    whole = jnp.stack([0, 0, width, height])
    return jnp.where(rows.any(), found, whole).astype(jnp.float32)


def _place(key: jax.Array, picture: dict, size: tuple[int, int]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Where to look: the matrix [2, 2] from a view's pixels to the picture's, the picture's place [2] in the middle of
    the view, and whether only a part of the thing is there.
    """
    keys = jax.random.split(key, 7)
    garment = picture["kind"] == _GARMENT
    left, top, right, bottom = _box(picture)
    height, width = bottom - top, right - left
    between = lambda key, ends: jax.random.uniform(key, minval=ends[0], maxval=ends[1])  # noqa: E731
    chances = jnp.where(garment, jnp.array(RANGES.garment), jnp.array(RANGES.person))
    mode = jax.random.categorical(keys[0], jnp.log(chances))
    fills = lambda h, w, part: jnp.maximum(h / size[0], w / size[1]) / part  # noqa: E731
    part = between(keys[1], RANGES.part)
    steps = jnp.stack([
        fills(height, width, between(keys[1], RANGES.alone)),
        fills(picture["shown"][0], picture["shown"][1], between(keys[1], RANGES.whole)),
        part * height / size[0],
        fills(height, width, between(keys[1], RANGES.small)),
    ])  # fmt: skip
    step = steps[mode]
    # How far the thing may lie from the middle: within the view where it is smaller, a little where it is larger.
    free = jnp.abs(jnp.stack([size[1] * step - width, size[0] * step - height])) / 2
    away = jax.random.uniform(keys[2], (2,), minval=-1.0, maxval=1.0) * jnp.maximum(free, 0.04 * height)
    middle = jnp.stack([(left + right) / 2, (top + bottom) / 2]) - away
    begins = top + (size[0] * step) * (0.5 - jax.random.uniform(keys[3], maxval=0.12))
    above = (mode == 2) & (jax.random.uniform(keys[4]) < RANGES.from_above)
    middle = middle.at[1].set(jnp.where(above, begins, middle[1]))
    middle = middle.at[0].set(jnp.where(mode == 2, (left + right) / 2 + 0.2 * away[0], middle[0]))
    angle = jnp.deg2rad(jax.random.normal(keys[5]) * jnp.where(garment, RANGES.turn[1], RANGES.turn[0]))
    stretch = jnp.exp(0.05 * jax.random.normal(keys[6], (2,)))
    turn = jnp.stack([jnp.stack([jnp.cos(angle), -jnp.sin(angle)]), jnp.stack([jnp.sin(angle), jnp.cos(angle)])])
    return step * turn * stretch, middle, mode == 2


def _seen_through(
    picture: dict, matrix: jax.Array, middle: jax.Array, *, size: tuple[int, int], colour: jax.Array, border
) -> tuple[jax.Array, dict]:
    """(image float [H, W, 3], truth) through `matrix` around `middle`; beyond the picture its border or one colour."""
    at = (geometry.grid(size) - (jnp.array(size[::-1]) - 1) / 2) @ matrix.T + middle
    limit = picture["shown"][::-1].astype(jnp.float32)
    within = ((at >= -0.5) & (at < limit - 0.5)).all(-1)
    image = _sampled(picture["image"], jnp.clip(at, 0, limit - 1), jnp.sqrt(jnp.abs(jnp.linalg.det(matrix))))
    image = jnp.where((within | border)[..., None], image, colour)
    labels = picture["segmentation"]
    blank = (labels == segmentation.UNKNOWN).all()
    seen = geometry.warp_nearest(labels, at, 0)
    seen = jnp.where(within, seen, 0)
    points = (picture["keypoints"] - middle) @ jnp.linalg.inv(matrix).T + (jnp.array(size[::-1]) - 1) / 2
    facts = {name: picture[name] for name in ("known", "seen", "kind", "garment_type", "sleeves", "facing")}
    return image, facts | {
        "segmentation": jnp.where(blank, segmentation.UNKNOWN, seen).astype(jnp.uint8),
        "keypoints": points.astype(jnp.float32),
    }


def _sampled(image: jax.Array, at: jax.Array, step: jax.Array) -> jax.Array:
    """The picture at places, from the halved picture whose pixels are about as large as the view's."""
    level, found = to_float(image), []
    for number in range(_LEVELS):
        factor = 2**number
        found.append(geometry.sample(level, (at + 0.5) / factor - 0.5))
        level = geometry.block_means(level[: level.shape[0] // 2 * 2, : level.shape[1] // 2 * 2], 2)
    wanted = jnp.clip(jnp.log2(jnp.maximum(step, 1.0)), 0, _LEVELS - 1)
    weights = jnp.maximum(0, 1 - jnp.abs(jnp.arange(_LEVELS) - wanted))
    return jnp.einsum("l,lhwc->hwc", weights, jnp.stack(found))


def _mirrored(image: jax.Array, truth: dict, size: tuple[int, int]) -> tuple[jax.Array, dict]:
    names = jnp.arange(256, dtype=jnp.uint8).at[: segmentation.NUM_LABELS].set(segmentation.MIRROR)
    other = dict(truth)
    other["segmentation"] = names[truth["segmentation"][:, ::-1]]
    other["keypoints"] = truth["keypoints"][keypoints.MIRROR] * jnp.array([-1, 1]) + jnp.array([size[1] - 1.0, 0])
    other |= {name: truth[name][keypoints.MIRROR] for name in ("known", "seen")}
    other["facing"] = truth["facing"] * jnp.array([-1, 1])
    return image[:, ::-1], other


# -------------------------------------------------------------------------------------------------------------- colours


def _before_one_colour(key: jax.Array, image: jax.Array, labels: jax.Array, person) -> jax.Array:
    """Now and then a catalogue's ground behind the person: white, or one bright colour that fades, with a soft edge."""
    keys = jax.random.split(key, 5)
    known = (labels != segmentation.UNKNOWN).any()
    colour = jax.random.uniform(keys[0], (3,), minval=0.75, maxval=1.0)
    colour = jnp.where(jax.random.uniform(keys[1]) < 0.5, 1.0, jax.random.uniform(keys[2], minval=0.4) * colour)
    fade = 0.15 * jax.random.normal(keys[3]) * jnp.linspace(-1, 1, image.shape[0])[:, None, None]
    soft = geometry.blur((labels > 0).astype(jnp.float32)[None, ..., None], 0.7, 2)[0]
    ground = jnp.clip(colour + fade, 0, 1)
    new = soft * image + (1 - soft) * ground
    return jnp.where(person & known & (jax.random.uniform(keys[4]) < RANGES.new_ground), new, image)


def _in_other_light(key: jax.Array, image: jax.Array, pale: jax.Array) -> jax.Array:
    """Other light, contrast, tint and saturation, now and then blur, noise, or hardly any contrast."""
    keys = jax.random.split(key, 12)
    normal = lambda index, spread, shape=(): spread * jax.random.normal(keys[index], shape)  # noqa: E731
    image = jnp.clip(image, 1e-4, 1) ** jnp.exp(normal(0, 0.25))
    grey = image.mean(-1, keepdims=True)
    saturation = jnp.where(jax.random.uniform(keys[1]) < 0.03, 0.0, jnp.exp(normal(2, 0.3)))
    image = grey + (image - grey) * saturation
    image = (image - 0.5) * jnp.exp(normal(3, 0.18)) + 0.5 + normal(4, 0.06)
    image = image * jnp.exp(normal(5, 0.07, (3,)))
    # Light things on light ground, and dark ones in the dark.
    least = jax.random.uniform(keys[6], minval=0.08, maxval=0.5)
    dark = jax.random.uniform(keys[7]) < 0.25
    washed = jnp.where(dark, least * jnp.clip(image, 0, 1), 1 - least * (1 - jnp.clip(image, 0, 1)))
    image = jnp.where(jax.random.uniform(keys[8]) < pale, washed, image)
    choice = jax.random.uniform(keys[9])
    image = jnp.where(choice < 0.15, geometry.blur(image[None], 0.9, 3)[0], image)
    noise = normal(10, 1.0, image.shape) * jax.random.uniform(keys[11], minval=0.004, maxval=0.035)
    return jnp.clip(jnp.where(choice > 0.8, image + noise, image), 0, 1)
