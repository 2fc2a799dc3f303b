"""A job that kills its process, in a module of its own: the processes that run it import this and little else."""

import os
from pathlib import Path

from data.raw import units


def die_of_b(job):
    if job.name == "b":
        os._exit(9)
    units.write(Path(job.unit), units.Unit(job.name, "looked at", "", 1, 1, [], []))
    return job.name
