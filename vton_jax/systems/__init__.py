"""Try-on systems: photo + garments + poses -> results, by the names in `SYSTEMS`.

A system is a folder, with a factory that takes `SystemOptions` and gives a `TryOnSystem`, and a line here.
"""

import importlib

from vton_jax.core.errors import UserError
from vton_jax.systems.options import SystemOptions

# Name -> 'module:function', imported when it is asked for.
SYSTEMS = {"lab126": "vton_jax.systems.lab126:create", "clothflow": "vton_jax.systems.clothflow:create"}


def create(options: SystemOptions):
    """The `TryOnSystem` that `options.system` names. Raises: UserError for an unknown one."""
    factory = SYSTEMS.get(options.system)
    if factory is None:
        raise UserError(f"The system {options.system} is unknown; known are {', '.join(SYSTEMS)}.")
    if callable(factory):
        return factory(options)
    module, _, function = factory.partition(":")
    return getattr(importlib.import_module(module), function)(options)
