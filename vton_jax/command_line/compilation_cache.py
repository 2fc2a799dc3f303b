"""The folder that keeps compiled programs from run to run, so that only the first run waits for the compiler.

Programs are kept apart by jaxlib's version and by the processor: what was compiled for another one may not run here.
"""

import os
import sys
from importlib import metadata
from pathlib import Path

from vton_jax.core import machine
from vton_jax.core.errors import UserError

HELP = (
    "Folder that keeps compiled programs from run to run; none: compile anew. Default: VTON_JAX_CACHE, else "
    "~/.cache/vton_jax."
)
_LEAST_SECONDS = 0.1  # of compiling: quicker programs are not worth a file


def folder_of(given: str | None) -> Path | None:
    """Where programs are kept: in `given`, else in VTON_JAX_CACHE, else in ~/.cache/vton_jax; None for 'none'."""
    given = given or os.environ.get("VTON_JAX_CACHE") or "~/.cache/vton_jax"
    if given.lower() == "none":
        return None
    return Path(given).expanduser() / f"jaxlib-{metadata.version('jaxlib')}-{machine.processor()}"


def use(given: str | None = None) -> Path | None:
    """Lets JAX keep its programs; returns the folder, or None. JAX may be imported already, or later.

    A folder that JAX_COMPILATION_CACHE_DIR names goes before the default, not before `given`. Where the default cannot
    be written to, programs are compiled anew. Raises: UserError where `given` cannot be written to.
    """
    if not given and os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    folder = folder_of(given)
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if given:
                raise UserError(f"--compilation_cache={given} cannot be written to: {error.strerror}.") from None
            folder = None
    settings = {
        "jax_compilation_cache_dir": None if folder is None else str(folder),
        "jax_persistent_cache_min_compile_time_secs": _LEAST_SECONDS,
    }
    for name, value in settings.items():
        if "jax" in sys.modules:
            sys.modules["jax"].config.update(name, value)
        elif value is None:
            os.environ.pop(name.upper(), None)
        else:
            os.environ[name.upper()] = str(value)
    return folder
