"""The system of the Lab126 talk on joint dress and pose transfer."""

from vton_jax.systems.options import SystemOptions


def create(options: SystemOptions):
    """Makes the system (`Lab126`); `auto` means the arm `post`, as in jobs."""
    from vton_jax.systems.lab126.system import Lab126  # here: whoever asks for names alone should not load JAX

    arm = "post" if options.remap == "auto" else options.remap
    return Lab126(arm, options.weights, options.solver, options.layout)
