"""Options for XLA that a training step is compiled with.

Measured by benchmarks/train_step.py; docs/benchmarks.md has the numbers.
"""

import functools

import jax

# YNNPACK, which jaxlib 0.10 gives convolutions to, takes 2 to 5 times as long for the gradient of a kernel as XLA's own
# code (24 against 129 GFLOP/s on one core, 96 channels at 32x24, 48 images) and gains nothing elsewhere.
_CPU = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def training_options() -> dict[str, str]:
    """`compiler_options` for `jax.jit` of a training step on the default backend; empty where XLA knows them not."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=_CPU).lower().compile()
    except jax.errors.JaxRuntimeError:  # another jaxlib, other options
        return {}
    return _CPU
