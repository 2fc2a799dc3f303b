"""What identifies a split: the hash that evaluation results carry.

Conventions: a split's name is a part (`train`, `validation`, `test`), and what of it, `test_unpaired`: splits of one
part may share people. The hash stands for the set of examples, whatever their order.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from vton_jax.core.errors import UserError


def part_of(split: str) -> str:
    """`test_unpaired` -> `test`: what is learned from, chosen by, or scored on."""
    return split.split("_")[0]


def split_hash(names: Iterable[str]) -> str:
    """Twelve hexadecimal digits that stand for a set of examples, given by their names in any order."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:12]


def example_name(features: dict) -> str:
    """What names an example of a prepared dataset: all its texts and frame numbers."""
    names = sorted(name for name, value in features.items() if isinstance(value, bytes) or name.endswith("_frame"))
    return "|".join(f"{n}={v.decode() if isinstance(v := features[n], bytes) else int(v)}" for n in names)


def read_undecoded(folder: str | Path, split: str):
    """The examples of a prepared dataset's split as a sequence, images left as encoded bytes.

    Returns (sequence of dicts, names of the image features). Raises UserError for an unknown split.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(folder))
    if split not in builder.info.splits:
        raise UserError(f"{folder} has no split {split!r}; it has {', '.join(builder.info.splits)}.")
    images = [name for name, feature in builder.info.features.items() if isinstance(feature, tfds.features.Image)]
    source = builder.as_data_source(split, decoders={name: tfds.decode.SkipDecoding() for name in images})
    return source, images
