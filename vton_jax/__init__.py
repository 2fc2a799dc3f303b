"""Virtual try-on video in JAX and Flax: one photo, one garment and one pose clip become a clip.

from vton_jax import TryOnJob
TryOnJob(person="me.jpg", garment="shirt.jpg", pose="walk.mp4").write("out/me.mp4")
"""

import importlib

# Imported when they are asked for: names alone should not load JAX.
_PUBLIC = {"TryOnJob": "vton_jax.systems.job", "JobOptions": "vton_jax.systems.options"}
__all__ = ["JobOptions", "TryOnJob"]


def __getattr__(name: str):
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'vton_jax' has no attribute {name!r}")
