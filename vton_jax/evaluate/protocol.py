"""What a suite is: a contract that the command, the report and the tests rely on. Imports no JAX.

A suite's module imports what measures inside functions, so that names, options and their help are there at once.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from vton_jax.core.errors import WrongOption
from vton_jax.core.options import option

LAB126 = "lab126"


@dataclasses.dataclass(frozen=True)
class SuiteOptions:
    """What our suites can all be asked."""

    system: str = option(LAB126, "The try-on system: a name in vton_jax.systems.SYSTEMS.")
    weights: str | None = option(None, "Folder of other weights than the released ones.")


@dataclasses.dataclass(frozen=True)
class PerceptualOptions:
    """What suites can be asked that look at pictures with networks that know ImageNet."""

    perceptual: str = option(
        "auto",
        "Weights of LPIPS: a file, a folder of files, none, or auto: the extra perceptual's, else the folder that "
        "VTON_JAX_PERCEPTUAL names.",
    )


@dataclasses.dataclass(frozen=True)
class WholeSystemOptions(PerceptualOptions, SuiteOptions):
    """What suites can be asked that know no more of a system than `TryOnSystem`."""

    background: Literal["inpaint", "network"] = option("inpaint", "What is behind people in photos, as in render.py.")


class Suite(Protocol):
    """Pictures with their truth, and what is measured on them.

    `Options` is a frozen dataclass of `core.options.option` fields, from which flags are made. A suite is made with an
    instance of it, refuses what cannot be, and reads nothing before `run`. What `run` yields are the numbers of
    results.json: names keep their meaning for ever, since evaluations are compared; NaN is a score over nothing.

    Once `run` has ended, `texts` and `pictures` are whole. `texts['protocol']` says what was compared: evaluations
    compare only where all of it is equal. `texts['about']` says what was evaluated. Other groups are only shown.
    `pictures` are sheets by their titles, uint8 [H, W, 3].

    `folder` is set before `run`: where a suite may write files of its own; None: nowhere. `only_prints` keeps a suite's
    numbers out of the folder, which has those of another evaluation.
    """

    name: ClassVar[str]
    Options: ClassVar[type]
    options: Any
    texts: dict[str, dict[str, str]]
    pictures: dict[str, np.ndarray]
    folder: Path | None = None
    only_prints: bool = False

    def __init__(self, options: Any):
        self.options = options
        self.texts, self.pictures = {"protocol": {}, "about": {}}, {}

    def run(self) -> Iterator[tuple[str, float]]:
        """Measures; yields every number with its name."""
        ...

    def sections(self, results: dict[str, float]) -> list[str]:
        """What the report shows beside texts, all numbers and pictures: parts in HTML, of what `run` yielded."""
        return []


def include(suite: Suite, part: Suite) -> Iterator[tuple[str, float]]:
    """Runs a part of a suite: yields its numbers, and adds its texts and pictures to the suite's."""
    yield from part.run()
    for group, lines in part.texts.items():
        suite.texts.setdefault(group, {}).update(lines)
    suite.pictures.update(part.pictures)


def require_data(suite: type, options: Any, what: str) -> None:
    """Raises WrongOption where the option `data` is not given; `what` follows "a folder"."""
    if not options.data:
        raise WrongOption("data", "DIR", f"is missing: the suite {suite.name} needs a folder {what}.")


def require_lab126(suite: type, options: Any, mend: str = "") -> None:
    """Raises WrongOption where another system is asked for than the one whose parts the suite looks into."""
    if options.system != LAB126:
        why = f"cannot be evaluated here: the suite {suite.name} looks into the parts of {LAB126}{mend}."
        raise WrongOption("system", options.system, why)
