"""What is freed is kept: big arrays, made again and again, cost no fresh pages."""

import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys
import numpy as np
from vton_jax.command_line import allocator
done = allocator.keep_freed_memory() if sys.argv[1] == "keep" else False
np.ones(1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    np.ones(1 << 24)
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(how: str, **variables: str) -> tuple[bool, int]:
    output = subprocess.run(
        [sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True, env=variables
    )
    done, faults = output.stdout.split()
    return done == "True", int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is meant")
def test_freed_memory_is_kept_unless_told_otherwise():
    kept, faults = run("keep")
    if not kept:
        pytest.skip("another C library")
    assert faults < run("leave")[1] / 20
    assert run("keep", MALLOC_ARENA_MAX="2")[0] is False
    assert run("keep", GLIBC_TUNABLES="glibc.malloc.arena_max=2")[0] is False
