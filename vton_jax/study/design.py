"""Who sees what: trials of a participant, balanced over participants by a Latin square. Pure functions.

Conventions: a trial is a dictionary: `kind` (practice, trial, check, repeat), `pictures` (one id, or two: left, right),
`arms` (as the pictures'; real pictures have the arm "real"), `exposure` in seconds, `truth` (the right answer, None
where there is none), `of` (of a repeat, the index of the trial that it repeats). Cases are pictures of one name in all
arms: a participant sees each at most once, in one condition.
"""

import dataclasses
import itertools
import random
from collections.abc import Sequence

from vton_jax.core.errors import UserError

REAL = "real"
ANSWERS = {"real": ("real", "generated"), "better": ("left", "right")}  # by question


@dataclasses.dataclass(frozen=True)
class Design:
    """What trials are drawn from. Ids of pictures by case; `generated[case][arm]`."""

    question: str
    exposures: tuple[float, ...]
    arms: tuple[str, ...]
    real: tuple[int, ...]
    generated: tuple[dict[str, int], ...]
    checks: dict[str, int]  # the answer that a check asks for -> its picture
    trials: int
    practice: int
    num_checks: int
    repeats: int
    seed: int

    @property
    def conditions(self) -> list[tuple]:
        """(arms that are shown, exposure): the columns of the square."""
        shown = [(arm,) for arm in self.arms]
        if self.question == "better":
            shown = list(itertools.combinations(self.arms, 2))
        return list(itertools.product(shown, self.exposures))

    @property
    def rows(self) -> int:
        """Rows of the Latin square: after so many participants every case was seen in every condition as often."""
        return len(self.conditions)

    def __post_init__(self):
        if self.question == "better" and len(self.arms) < 2:
            raise UserError("To ask which is better takes two arms at least.")
        if not self.arms or not self.generated:
            raise UserError("There are no cases: pictures of an arm need the same names as those of the others.")
        if self.question == "real" and len(self.real) < 2:
            raise UserError("To ask what is real takes two real pictures at least.")


def square_cell(row: int, column: int, size: int) -> int:
    """A cyclic Latin square: each value once in each row and each column."""
    return (row + column) % size


def _held_out(design: Design) -> tuple[int, int]:
    """(real pictures, cases) for practice, taken from the ends, which are never scored."""
    if design.question == "better":
        return 0, min(design.practice, max(len(design.generated) - 1, 0))
    half = design.practice // 2
    cases = min(design.practice - half, max(len(design.generated) - 1, 0))
    return min(half, max(len(design.real) - 1, 0)), cases


def trials_of(design: Design, row: int, number: int) -> list[dict]:
    """The trials of one participant, in order.

    Args: row: of the square, which says in which condition each case is seen. number: of the session, which draws the
    order and the cases.
    """
    drawn = random.Random(f"{design.seed} {number}")
    few_real, few_cases = _held_out(design)
    scored = _scored(design, row, drawn, len(design.real) - few_real, len(design.generated) - few_cases)
    drawn.shuffle(scored)
    trials = [*_practice(design, drawn, few_real, few_cases), *scored]
    trials = _with_checks(design, trials, drawn, first=len(trials) - len(scored))
    return _with_repeats(design, trials, drawn)


def _scored(design: Design, row: int, drawn: random.Random, num_real: int, num_cases: int) -> list[dict]:
    conditions, exposures = design.conditions, design.exposures
    wanted = design.trials if design.question == "better" else design.trials // 2
    found = []
    for case in _spread(drawn, num_cases, wanted, len(conditions)):
        arms, exposure = conditions[square_cell(row, case, len(conditions))]
        found.append(_trial(design, "trial", _shown(design, case, arms, drawn), exposure))
    if design.question == "real":
        for index in _spread(drawn, num_real, design.trials - wanted, len(exposures)):
            exposure = exposures[square_cell(row, index, len(exposures))]
            found.append(_trial(design, "trial", [(design.real[index], REAL)], exposure))
    return found


def _spread(drawn: random.Random, count: int, wanted: int, period: int) -> list[int]:
    """`wanted` of `count` numbers at most, drawn such that all remainders by `period` come as often as they can."""
    groups = [[index for index in range(count) if index % period == rest] for rest in range(period)]
    for group in groups:
        drawn.shuffle(group)
    drawn.shuffle(groups)
    taken = [group[turn] for turn in range(-(-count // period)) for group in groups if turn < len(group)]
    return taken[:wanted]


def _shown(design: Design, case: int, arms: Sequence[str], drawn: random.Random) -> list[tuple[int, str]]:
    pictures = [(design.generated[case][arm], arm) for arm in arms]
    drawn.shuffle(pictures)  # left and right
    return pictures


def _trial(design: Design, kind: str, pictures: list[tuple[int, str]], exposure: float, truth: str | None = None):
    arms = [arm for _, arm in pictures]
    if truth is None and design.question == "real":
        truth = "real" if arms == [REAL] else "generated"
    return {
        "kind": kind, "pictures": [picture for picture, _ in pictures], "arms": arms, "exposure": exposure,
        "truth": truth,
    }  # fmt: skip


def _practice(design: Design, drawn: random.Random, few_real: int, few_cases: int) -> list[dict]:
    found = []
    longest = max(design.exposures)
    for index in range(len(design.real) - few_real, len(design.real)):
        found.append(_trial(design, "practice", [(design.real[index], REAL)], longest))
    for turn, case in enumerate(range(len(design.generated) - few_cases, len(design.generated))):
        arms = design.conditions[turn * len(design.exposures) % len(design.conditions)][0]
        found.append(_trial(design, "practice", _shown(design, case, arms, drawn), longest))
    drawn.shuffle(found)
    return found


def _with_checks(design: Design, trials: list[dict], drawn: random.Random, first: int) -> list[dict]:
    """Attention checks, evenly spread: pictures that say what to answer."""
    words = drawn.sample(sorted(design.checks), len(design.checks))
    for turn in range(design.num_checks if words else 0):
        answer = words[turn % len(words)]
        pictures = [(design.checks[answer], "check")]
        at = first + turn + round((turn + 1) * (len(trials) - first - turn) / (design.num_checks + 1))
        trials.insert(min(at, len(trials)), _trial(design, "check", pictures, max(design.exposures), answer))
    return trials


def _with_repeats(design: Design, trials: list[dict], drawn: random.Random) -> list[dict]:
    """Some of the first half once more at the end."""
    early = [index for index, trial in enumerate(trials) if trial["kind"] == "trial"]
    early = early[: max(len(early) // 2, 1)]
    for index in sorted(drawn.sample(early, min(design.repeats, len(early)))):
        trials.append(trials[index] | {"kind": "repeat", "of": index})
    return trials
