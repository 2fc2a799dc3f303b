"""What is freed is kept, and big arrays, made again and again, cost no fresh pages; or it is given back when asked."""

import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys
import numpy as np
from vton_jax.command_line import allocator
done = allocator.keep_freed_memory() if sys.argv[1] == "keep" else False
def use():
    # Of many bytes the last are touched.
    np.empty(int(sys.argv[2]), np.uint8)[-(1 << 26) :] = 1
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    use()
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(how: str, size: int = 1 << 27, **variables: str) -> tuple[bool, int]:
    output = subprocess.run(
        [sys.executable, "-c", _PROGRAM, how, str(size)], capture_output=True, text=True, check=True, env=variables
    )
    done, faults = output.stdout.split()
    return done == "True", int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is meant")
def test_freed_memory_is_kept_unless_told_otherwise():
    kept, faults = run("keep")
    if not kept:
        pytest.skip("another C library")
    dropped = run("leave")[1]
    assert faults < dropped / 20 and run("keep", 5 << 29)[1] < dropped / 20  # more than 2 GB, too
    assert run("keep", MALLOC_ARENA_MAX="2")[0] is False
    assert run("keep", GLIBC_TUNABLES="glibc.malloc.arena_max=2")[0] is False


_HOLES = """
import numpy as np
from vton_jax.command_line import allocator
def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))
blocks = [np.ones(1 << 13) for _ in range(2000)]  # 64 KiB each, below what is a mapping of its own
last = blocks[-1]
del blocks
before = resident()
print(allocator.give_back_freed_memory(), before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is meant")
def test_what_is_freed_between_things_that_stay_is_given_back():
    done, kilobytes = subprocess.run(
        [sys.executable, "-c", _HOLES], capture_output=True, text=True, check=True
    ).stdout.split()
    if done != "True":
        pytest.skip("another C library")
    assert int(kilobytes) > 100_000


_THREADS = """
import sys, threading
import numpy as np
from vton_jax.command_line import allocator
def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))
done = allocator.share_one_heap() if sys.argv[1] == "share" else None
kept, together, before = [], threading.Barrier(8), resident()
def work():
    together.wait()
    blocks = [np.ones(1 << 13) for _ in range(400)]  # 64 KiB each
    together.wait()
    kept.append(blocks[-1])
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
heaps = sum(" rw-p " in line and not line.split()[5:] for line in open("/proc/self/maps"))
print(done, heaps, len(kept))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is meant")
def test_threads_of_a_server_share_one_heap():
    counted = {}
    for how in ("share", "leave"):
        done, heaps, kept = subprocess.run(
            [sys.executable, "-c", _THREADS, how], capture_output=True, text=True, check=True
        ).stdout.split()
        assert kept == "8"
        counted[done] = int(heaps)
    if "True" not in counted:
        pytest.skip("another C library")
    assert counted["True"] + 4 <= counted["None"]
