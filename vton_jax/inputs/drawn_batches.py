"""Batches of examples that the catalogue draws as they are needed, by threads ahead of the step.

Conventions: batches as in `input_pipeline`; the batch at a position depends on seed and position alone.
"""

import functools
import sys

import jax
import numpy as np

from vton_jax.catalogue import cases, characters, examples, exchanges
from vton_jax.core import keypoints
from vton_jax.core.errors import UserError
from vton_jax.inputs import input_pipeline

_USERS_OF_A_SEED = 10_000 * exchanges.CIRCLE  # as far as a run may come


class DrawnBatches(input_pipeline.FileBatches):
    """Examples of the catalogue that threads draw ahead of the position, as `FileBatches` reads them."""

    kind = "catalogue"

    def __init__(self, examples, batch_size: int, options, shapes: dict):
        super().__init__(examples, batch_size, options)
        self._shapes = shapes

    def shapes(self) -> dict:
        return self._shapes

    def __next__(self) -> dict:
        if jax.process_index() == 0:
            _say_how_slow()
        return super().__next__()


@functools.cache  # once
def _say_how_slow() -> None:
    print("--dataset=catalogue draws an example in about a second of a core at 256x192. For a long run draw them once: "
          "python data/build.py catalogue writes shards, python -m vton_jax.cache_examples --kind=people what an "
          "accelerator keeps whole.", file=sys.stderr)  # fmt: skip


def sample_shapes(rows: int, size: tuple[int, int], pose_picture: bool = False) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of a batch of drawn examples."""
    images = (*input_pipeline.IMAGES, "pose_image") if pose_picture else input_pipeline.IMAGES
    kinds = {
        np.uint8: {name: (*size, 3) for name in images}
        | {f"{person}_segmentation": size for person in input_pipeline.PEOPLE},
        np.float32: {f"{person}_keypoints": (keypoints.NUM_JOINTS, 2) for person in input_pipeline.PEOPLE}
        | {"flow": (*size, 2)},
        bool: {f"{person}_visible": (keypoints.NUM_JOINTS,) for person in input_pipeline.PEOPLE}
        | {"flow_visible": size}
        | {"donor_flat": ()},
        np.int32: {"garment_type": ()},
    }
    return {name: jax.ShapeDtypeStruct((rows, *of), kind) for kind, all_ in kinds.items() for name, of in all_.items()}


def example(
    place: int, seed: int, split: str, size: tuple[int, int], pose_picture: bool = False
) -> dict[str, np.ndarray]:
    """The sample at a place of the endless row that the catalogue draws for a seed.

    As many users take turns as lend each other clothes; in half of the samples the donor is the garment laid flat,
    where it can lie flat. People are shown whole.
    """
    turn, user = divmod(place, exchanges.CIRCLE)
    circle, own = divmod(turn, exchanges.EXAMPLES_OF_ONE)
    user += exchanges.CIRCLE * circle + _USERS_OF_A_SEED * seed
    number = user * exchanges.EXAMPLES_OF_ONE + own
    drawn = examples.draw(number, split, size, pose_picture=pose_picture, closest=cases.WHOLE)
    sample = examples.sample(drawn, flat=(place + turn) % 2 == 1 and examples.lies_flat(drawn))
    return {name: sample[name] for name in sample_shapes(1, size, pose_picture)}


def open_batches(
    seed: int, batch_size: int, size: tuple[int, int], split: str = "train", *, pose_picture: bool = False
) -> DrawnBatches:
    """Batches of `example`. Raises UserError for an unknown split."""
    import grain

    if split not in characters.SPLITS:
        raise UserError(f"The catalogue has no split {split!r}; it has {', '.join(characters.SPLITS)}.")
    if seed < 0:
        raise UserError(f"--dataset=catalogue draws its people by the seed, a number from 0 on, not {seed}.")
    one = functools.partial(example, seed=seed, split=split, size=tuple(size), pose_picture=pose_picture)
    shapes = sample_shapes(input_pipeline.own_rows(batch_size)[1], tuple(size), pose_picture)
    kind = functools.partial(DrawnBatches, shapes=shapes)
    return input_pipeline.batches_from(grain.MapDataset.range(sys.maxsize).map(one), batch_size, kind=kind)
