"""What programs are compiled for. Imports no JAX."""

import hashlib
import platform
from pathlib import Path


def processor() -> str:
    """Eight hexadecimal digits that stand for the processor and its instructions."""
    words = platform.machine() + platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        words += "".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part")))
    except OSError:
        pass  # no Linux: the machine's own words must do
    return hashlib.sha256(words.encode()).hexdigest()[:8]
