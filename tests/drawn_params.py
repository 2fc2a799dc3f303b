"""A network's parameters by chance, without the wait for the compiler: JAX says the shapes, NumPy draws."""

import flax.traverse_util
import jax
import numpy as np
from quick_kernels import quick_kernels


def draw(shapes, seed: int = 0):
    """Kernels from a normal distribution by what they sum over; scales are one, biases zero. What a network itself
    begins as zeros is none here: where that is the point, use its `init`."""
    generator, found = np.random.default_rng(seed), {}
    for path, leaf in flax.traverse_util.flatten_dict(shapes).items():
        if path[-1] in ("scale", "bias"):
            found[path] = np.full(leaf.shape, path[-1] == "scale", np.float32)
        else:
            found[path] = generator.standard_normal(leaf.shape, np.float32) / np.sqrt(np.prod(leaf.shape[:-1]))
            found[path] = found[path].astype(np.float32)
    return flax.traverse_util.unflatten_dict(found)


def drawn_params(module, *inputs, seed: int = 0):
    """`draw` for a Flax module and inputs."""
    with quick_kernels():  # quicker to trace, too
        return draw(jax.eval_shape(module.init, jax.random.PRNGKey(0), *inputs), seed)
