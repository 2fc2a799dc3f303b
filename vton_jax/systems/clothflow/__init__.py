"""The system of the ClothFlow paper: a flow-based model for clothed person generation."""

from vton_jax.systems.options import SystemOptions


def create(options: SystemOptions):
    """Makes the system (`ClothFlow`) with the released networks, or those in `options.weights`."""
    from vton_jax.systems.clothflow.system import ClothFlow  # here: whoever asks for names alone should not load JAX

    return ClothFlow("full", options.weights)
