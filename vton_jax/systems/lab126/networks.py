"""Released networks, or those of another folder, as they are needed."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from vton_jax.models import weights


def weights_path(name: str, folder: str | Path | None = None) -> Path:
    """Where the weights of a network lie: in `folder`, by default the released ones."""
    return Path(folder) / f"{name}.safetensors" if folder else weights.released(name)


def load_network(module, path: Path):
    """A network of the class `module` from a file: (module, parameters, arrays beside them, settings)."""
    name = re.sub(r"(?<!^)(?=[A-Z][a-z])|(?=CNN$)", "_", module.__name__).lower()  # ReMapCNN: re_map_cnn
    params, settings, extra = weights.load(path, name)
    names = {field.name for field in dataclasses.fields(module)} - {"parent", "name"}
    known = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items() if k in names}
    return module(**known), params, extra, settings


def in_batches(function: Callable, frames, batch: int):
    """Equal batches, the last one padded, so that one compiled program serves all."""
    count = len(jax.tree.leaves(frames)[0])
    batch = min(batch, count)
    parts = []
    for first in range(0, count, batch):
        index = np.minimum(np.arange(first, first + batch), count - 1)
        parts.append(jax.device_get(function(jax.tree.map(lambda a, i=index: a[i], frames))))
    return jax.tree.map(lambda *a: np.concatenate(a)[:count], *parts)
