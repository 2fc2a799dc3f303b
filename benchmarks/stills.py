"""What many stills cost beside one: python benchmarks/stills.py [--stills=100] [--json]

A table of stills, each of another drawn person in another garment and in their own pose, is made as `render.py --jobs`
does. Beside it, in the same process, what the path's shares say: reading a person and a garment, and dressing,
compositing and writing, the median of some stills timed one by one. `ratio` is the one over the other; programs are
warm in both.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from vton_jax.catalogue import cases
from vton_jax.command_line import compilation_cache
from vton_jax.media import photo_files
from vton_jax.systems import batches, job_tables
from vton_jax.systems.job import TryOnJob
from vton_jax.systems.options import JobOptions

TIMED = 8  # stills, after one that compiles


def draw(folder: Path, count: int) -> list[tuple[str, str]]:
    """Files of so many drawn people, and of garments laid flat."""
    found = []
    for index in range(count):
        photo, flat, *_ = cases.draw_walk(index, 1, split="validation")
        found.append((str(folder / f"person_{index}.png"), str(folder / f"garment_{index}.png")))
        for path, picture in zip(found[-1], (photo, flat), strict=True):
            photo_files.write_image(path, np.ascontiguousarray(picture))
    return found


def shares(folder: Path, pictures: list[tuple[str, str]]) -> tuple[float, float]:
    """Median seconds to read a person and a garment, and to make the rest of a still."""
    system, seconds = None, []
    for person, garment in pictures[: TIMED + 1]:
        job = TryOnJob(person=person, garment=garment, system=system)
        begun = time.perf_counter()
        reading, system = job.read(), job.system
        read = time.perf_counter()
        job.write(folder / "one.png", reading)
        seconds.append((read - begun, time.perf_counter() - read))
    return tuple(map(statistics.median, zip(*seconds[1:], strict=True)))


def make(folder: Path, pictures: list[tuple[str, str]]) -> tuple[float, int]:
    """Seconds for a table of stills, and how many were made."""
    table = folder / "jobs.csv"
    with open(table, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["person", "garment", "output"])
        rows.writerows([*pair, f"out/{number}.png"] for number, pair in enumerate(pictures))
    begun = time.perf_counter()
    outcomes = list(batches.Batch(job_tables.read(table, JobOptions()), table).outcomes())
    return time.perf_counter() - begun, sum(outcome.state == "made" for outcome in outcomes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stills", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    compilation_cache.use()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = draw(folder, max(options.stills, TIMED + 1))
        reading, rest = shares(folder, pictures)
        seconds, made = make(folder, pictures[: options.stills])
    if made != options.stills:
        raise SystemExit(f"{options.stills - made} of {options.stills} stills were not made")
    found = {"stills": made, "seconds": seconds, "seconds_a_still": seconds / options.stills}
    found |= {"seconds_reading": reading, "seconds_rest": rest}
    found["ratio"] = found["seconds_a_still"] / (reading + rest)
    found = {name: round(value, 3) for name, value in found.items()}
    print(json.dumps(found) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
