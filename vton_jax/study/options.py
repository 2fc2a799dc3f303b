"""What can be asked of a study: one description for flags and Python."""

import dataclasses
from typing import Literal

from vton_jax.core.options import option


@dataclasses.dataclass(frozen=True)
class CreateOptions:
    """What a study shows, and how it asks."""

    real: str | None = option(None, "create: folder of real pictures.")
    arms: tuple[str, ...] = option(
        (), "create: folders of generated pictures by name, NAME:DIR,NAME:DIR; pictures of one name are one case."
    )
    question: Literal["real", "better"] = option(
        "real", "create: real (real or generated, one picture) or better (two side by side, of two arms)."
    )
    exposures: tuple[float, ...] = option((1.0, 2.0, 5.0), "create: seconds that pictures are shown.")
    trials: int = option(60, "create: trials of a participant, half of them real where that is asked.", lower_bound=2)
    practice: int = option(4, "create: practice trials with feedback.", lower_bound=0)
    checks: int = option(3, "create: attention checks.", lower_bound=0)
    repeats: int = option(6, "create: trials that are shown again: how constant are answers?", lower_bound=0)
    size: tuple[int, int] = option((512, 384), "create: size that all pictures are brought to.")
    seed: int = option(0, "create: of what is drawn.", lower_bound=0)
    title: str = option("Real or generated?", "create: title of the page.")
    consent: str | None = option(None, "create: file with the text that participants agree to. Default: a short one.")
    completion_code: str | None = option(None, "create: code that is given at the end. Default: drawn.")


@dataclasses.dataclass(frozen=True)
class ServeOptions:
    """Where a study is served."""

    host: str = option("127.0.0.1", "serve: address to listen on; 0.0.0.0 lets others in.")
    port: int = option(7870, "serve: port to listen on.", lower_bound=1, upper_bound=65535)


@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """How a study is reported."""

    bootstrap: int = option(2000, "report: samples of participants for intervals.", lower_bound=100)
    least_checks: float = option(
        0.5, "report: part of the attention checks that a participant must pass to be counted.", 0.0, 1.0
    )
