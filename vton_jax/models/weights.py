"""Weights on disk: safetensors files of float16 arrays, with the settings that rebuild the network in their header.

Conventions: a file holds `params/LAYER/...` and, beside them, `extra/NAME` (float32 statistics such as the latent's).
The released files lie in `vton_jax/weights/`, each with a model card of the same name.
"""

import dataclasses
import json
import os
from pathlib import Path

import flax.traverse_util
import jax
import numpy as np

from vton_jax.core import files
from vton_jax.core.errors import UserError

FOLDER = Path(__file__).resolve().parents[1] / "weights"


def path_of(name: str, folder: str | os.PathLike | None = None) -> Path:
    """The file of a network's weights in `folder`; by default the released one."""
    return Path(folder or FOLDER) / f"{name}.safetensors"


def released(name: str) -> Path:
    """The path of a released file."""
    return path_of(name)


def save(path: str | os.PathLike, params: dict, settings: dict, extra: dict | None = None) -> None:
    """Writes one network. The file appears whole or not at all. Raises: UserError where it cannot be written.

    Args: params: {'params': ...} as Linen returns it. settings: JSON-able, with 'model', the network's name.
    """
    from safetensors.numpy import save as to_bytes

    flat = flax.traverse_util.flatten_dict(jax.device_get(params), sep="/")
    tensors = {name: np.ascontiguousarray(np.asarray(value, np.float16)) for name, value in flat.items()}
    tensors |= {f"extra/{name}": np.ascontiguousarray(np.asarray(v, np.float32)) for name, v in (extra or {}).items()}
    files.write_bytes(path, to_bytes(tensors, metadata={"settings": json.dumps(settings, sort_keys=True)}))


def load_network(name: str, module, path: Path | None = None):
    """A network rebuilt from its file, by default the released one: (module, params, extra, settings), see `load`.

    Args: module: the Linen class, whose fields the settings fill. Raises: UserError as `load` does.
    """
    params, settings, extra = load(path or released(name), name.removesuffix("_joint"))
    names = {field.name for field in dataclasses.fields(module)} - {"parent", "name"}
    known = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items() if k in names}
    return module(**known), params, extra, settings


def load(path: str | os.PathLike, model: str | None = None) -> tuple[dict, dict, dict]:
    """Reads (params, settings, extra), arrays in float32.

    Raises: UserError where the file is missing, broken, or of another model than `model`.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise UserError(f"The weights {path} do not exist; train them with the recipe in vton_jax/flagfiles.")
    try:
        with safe_open(path, "numpy") as file:
            settings = json.loads((file.metadata() or {}).get("settings", "{}"))
            tensors = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118  (a file, not a dict)
    except (SafetensorError, OSError) as error:
        raise UserError(f"The weights {path} cannot be read ({error}); get or train them again.") from None
    if model and settings.get("model") != model:
        raise UserError(f"The weights {path} are of '{settings.get('model')}', not of '{model}'.")
    extra = {n.removeprefix("extra/"): tensors.pop(n) for n in list(tensors) if n.startswith("extra/")}
    return flax.traverse_util.unflatten_dict(tensors, sep="/"), settings, extra
