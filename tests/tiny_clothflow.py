"""ClothFlow's networks, tiny and by chance, in the released files' format."""

import functools
from pathlib import Path

import jax
import numpy as np
from quick_kernels import quick_kernels

from vton_jax.models import weights
from vton_jax.systems.clothflow import variants
from vton_jax.tasks import TASKS
from vton_jax.tasks.modules import settings_of

SIZE = (64, 64)
WIDTHS = {"layout": (8,), "flow": (8, 8), "render": (8,)}  # as few levels as may be: quick to trace and to compile


def task(stage: str, variant: str = "full", **fields):
    """The task of a stage, with a tiny network."""
    name = f"clothflow_{stage}"
    made = TASKS[name](size=SIZE, variant=variant, **fields)
    setattr(made, name, getattr(made, name).clone(widths=WIDTHS[stage]))
    return made


@functools.cache
def shapes(stage: str, variant: str = "full"):
    """The parameters' shapes."""
    one = task(stage, variant)
    with quick_kernels():
        return jax.eval_shape(lambda: one.init(jax.random.PRNGKey(0), None))[f"clothflow_{stage}"]


def write(folder: Path, *names: str) -> Path:
    """The weights of the variants' stages, those that they share once."""
    for name in names:
        for stage in variants.STAGES:
            file = variants.weights_name(stage, name)
            if file is None or weights.path_of(file, folder).exists():
                continue
            generator = np.random.default_rng(0)
            draw = lambda leaf, g=generator: g.normal(0, 0.2, leaf.shape).astype(np.float32)  # noqa: E731
            settings = settings_of(getattr(task(stage, name), f"clothflow_{stage}"), SIZE)
            params = jax.tree.map(draw, shapes(stage, name))
            weights.save(weights.path_of(file, folder), params, {"model": f"clothflow_{stage}"} | settings)
    return folder
