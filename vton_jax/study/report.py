"""The report of a study: the talk's Table 1 with intervals, choices between arms, participants, plots."""

import collections
import dataclasses
import json
from pathlib import Path

import numpy as np

from vton_jax.core import files
from vton_jax.core.errors import UserError
from vton_jax.study import records, statistics
from vton_jax.study.design import REAL
from vton_jax.study.options import ReportOptions
from vton_jax.study.records import Answered
from vton_jax.study.statistics import Rate
from vton_jax.study.store import Store

PARTICIPANT = (
    "subject", "answers", "finished", "checks_passed", "checks_asked", "repeats_same", "repeats_asked", "median_rt_ms",
    "in_time", "focus_lost", "counted",
)  # fmt: skip
_NO_PLOT = "There is no plot, for want of matplotlib: pip install 'vton-jax[study]'."


@dataclasses.dataclass(frozen=True)
class Participant:
    """How well somebody took part."""

    name: str
    answers: int
    finished: bool
    checks: tuple[int, int]  # passed, asked
    repeats: tuple[int, int]  # answered as before, asked
    median_rt: float
    in_time: float  # part of the exposures that were right to a frame
    focus_lost: int  # trials
    counted: bool


def write(store: Store, output: Path, options: ReportOptions) -> str:
    """Writes report.md, report.json, table.csv, participants.csv, trials.csv, events.csv and plots; returns report.md.

    Raises: UserError where nobody has answered, or libraries are missing.
    """
    try:
        import choix  # noqa: F401
        import statsmodels  # noqa: F401
    except ImportError as error:
        raise UserError(f"The report needs {error.name}: pip install 'vton-jax[study]'.") from None
    rows = records.answered(store)
    if not rows:
        raise UserError(f"Nobody has answered anything in {store.path} yet.")
    files.require_writable(output / "report.md")
    finished = {row["participant"] for row in store.all("sessions") if row["ended"] is not None}
    people = [participant(name, of, name in finished, options) for name, of in _grouped(rows).items()]
    counted = {person.name for person in people if person.counted}
    scored = [one for one in rows if one.kind == "trial" and one.participant in counted and not one.focus_lost]
    records.write(store, rows, output)
    _write_participants(people, output)
    tables = _real_tables if store.settings["question"] == "real" else _better_tables
    text, numbers = tables(store, scored, options, output)
    text = "\n".join([f"# {store.settings['title']}", "", _about(people, rows, scored), "", text, ""])
    files.write_text(output / "report.md", text)
    files.write_text(output / "report.json", json.dumps(numbers, indent=1) + "\n")
    return text


def _grouped(rows: list[Answered]) -> dict[str, list[Answered]]:
    groups = collections.defaultdict(list)
    for one in rows:
        groups[one.participant].append(one)
    return groups


def participant(name: str, rows: list[Answered], finished: bool, options: ReportOptions) -> Participant:
    """The quality of one participant's answers."""
    checks = [one.correct for one in rows if one.kind == "check"]
    first = {one.index: one for one in rows if one.kind == "trial"}
    again = [one.answer == first[one.of].answer for one in rows if one.kind == "repeat" and one.of in first]
    timed = [one.in_time for one in rows if one.in_time is not None]
    times = [one.rt for one in rows if one.rt is not None and one.kind in ("trial", "repeat")]
    counted = not checks or sum(checks) >= options.least_checks * len(checks)
    return Participant(
        name, len(rows), finished, (sum(checks), len(checks)), (sum(again), len(again)),
        float(np.median(times)) if times else float("nan"), float(np.mean(timed)) if timed else float("nan"),
        sum(one.focus_lost > 0 for one in rows), counted,
    )  # fmt: skip


def _write_participants(people: list[Participant], output: Path) -> None:
    rows = [
        (
            one.name, one.answers, one.finished, *one.checks, *one.repeats, f"{one.median_rt:.0f}",
            f"{one.in_time:.3f}", one.focus_lost, one.counted,
        )
        for one in people
    ]  # fmt: skip
    records.write_csv(output / "participants.csv", PARTICIPANT, rows)


def _about(people: list[Participant], rows: list[Answered], scored: list[Answered]) -> str:
    counted = [one for one in people if one.counted]
    same, asked = (sum(one.repeats[index] for one in counted) for index in (0, 1))
    timed = [one.in_time for one in rows if one.in_time is not None]
    ended = sum(one.finished for one in people)
    lines = [
        f"Participants: {len(people)}; to the end: {ended}; counted: {len(counted)}, who passed attention checks. "
        f"Answers that are counted: {len(scored)}, without practice, checks, repeats and trials during which the page "
        "lost the focus.",
        f"Exposures right to within one frame: {np.mean(timed):.1%} of {len(timed)}." if timed else "",
        f"Repeated trials answered as before: {same} of {asked}." if asked else "",
    ]
    return "\n".join(line for line in lines if line)


def _real_tables(store: Store, scored: list[Answered], options: ReportOptions, output: Path):
    """Table 1: fakes called real by arm and exposure; below it real pictures called generated."""
    exposures, cells = store.settings["exposures"], {}
    for arm in (*store.settings["arms"], REAL):
        wrong = "generated" if arm == REAL else "real"
        for exposure in (*exposures, None):
            of = [one for one in scored if one.arms == (arm,) and exposure in (None, one.exposure)]
            hits = [one.answer == wrong for one in of]
            cells[arm, exposure] = statistics.rate([one.participant for one in of], hits, options.bootstrap)
    titles = [f"{exposure:g} s" for exposure in exposures] + ["all"]
    head = f"| | {' | '.join(titles)} |\n|---|{'---|' * len(titles)}"
    line = lambda arm: f"| {' | '.join(_cell(cells[arm, one]) for one in (*exposures, None))} |"  # noqa: E731
    lines = [f"| {arm} {line(arm)}" for arm in store.settings["arms"]]
    text = (
        f"## Generated pictures called real (the fooling rate)\n\n{head}\n" + "\n".join(lines) + "\n\n"
        f"## Real pictures called generated\n\n{head}\n| {REAL} {line(REAL)}\n\n"
        "In brackets: Wilson's 95% interval, as if answers were independent; in braces: by a bootstrap of participants."
    )
    rows = [
        (arm, "all" if exposure is None else exposure, one.times, one.of, one.rate, *one.wilson, *one.clustered)
        for (arm, exposure), one in cells.items()
    ]
    names = ("arm", "exposure_s", "times", "of", "rate", "wilson_low", "wilson_high", "clustered_low", "clustered_high")
    records.write_csv(output / "table.csv", names, rows)
    text += "\n\n" + _plot_rates(cells, store.settings["arms"], exposures, output / "fooling.png")
    return text, [dict(zip(names, row, strict=True)) for row in rows]


def _cell(one: Rate) -> str:
    if not one.of:
        return "-"
    low, high = (f"{100 * end:.0f}" for end in one.wilson)
    drawn = [f"{100 * end:.0f}" for end in one.clustered if end == end]
    return f"{one.rate:.1%} [{low}, {high}]" + (f" {{{', '.join(drawn)}}}" if drawn else "") + f", n={one.of}"


def _better_tables(store: Store, scored: list[Answered], options: ReportOptions, output: Path):
    """How often each arm was chosen over each other, and Bradley-Terry's strengths."""
    arms = store.settings["arms"]
    sides = {"left": 0, "right": 1}
    chosen = [(arms.index(one.arms[sides[one.answer]]), arms.index(one.arms[1 - sides[one.answer]])) for one in scored]
    people = [one.participant for one in scored]
    strengths, intervals = statistics.strengths(people, chosen, len(arms), options.bootstrap)
    rows, lines = [], [f"| chosen over | {' | '.join(arms)} | strength |", f"|---|{'---|' * (len(arms) + 1)}"]
    for index, arm in enumerate(arms):
        cells = []
        for other in range(len(arms)):
            met = [
                (who, pair[0] == index) for who, pair in zip(people, chosen, strict=True) if set(pair) == {index, other}
            ]
            if other == index:
                cells.append("")
                continue
            one = statistics.rate([who for who, _ in met], [won for _, won in met], options.bootstrap)
            cells.append(_cell(one))
            rows.append((arm, arms[other], one.times, one.of, one.rate, *one.wilson, *one.clustered))
        low, high = intervals[index]
        interval = f" {{{low:+.2f}, {high:+.2f}}}" if low == low else ""  # of one participant there is none
        lines.append(f"| {arm} | {' | '.join(cells)} | {strengths[index]:+.2f}{interval} |")
    names = ("arm", "over", "times", "of", "rate", "wilson_low", "wilson_high", "clustered_low", "clustered_high")
    records.write_csv(output / "table.csv", names, rows)
    text = (
        "## Which of the two looked better\n\n" + "\n".join(lines) + "\n\nStrengths are Bradley-Terry's, as logarithms "
        "with mean 0; their intervals, and those in braces, are by a bootstrap of participants."
    )
    text += "\n\n" + _plot_strengths(arms, strengths, intervals, output / "strengths.png")
    numbers = [dict(zip(names, row, strict=True)) for row in rows]
    return text, {"choices": numbers, "strengths": dict(zip(arms, map(float, strengths), strict=True))}


def _figure():
    """A figure of matplotlib, without a display; None where it is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    return Figure(figsize=(6, 4), layout="constrained")


def _saved(figure, path: Path, about: str) -> str:
    """Writes a figure; returns the report's line that shows it."""
    with files.replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)
    return f"![{about}]({path.name})"


def _plot_rates(cells: dict, arms: list[str], exposures: list[float], path: Path) -> str:
    if (figure := _figure()) is None:
        return _NO_PLOT
    axes = figure.subplots()
    for turn, arm in enumerate((*arms, REAL)):
        found = [(exposure, cells[arm, exposure]) for exposure in exposures if cells[arm, exposure].of]
        at = [exposures.index(exposure) + 0.08 * (turn - len(arms) / 2) for exposure, _ in found]
        low = [one.rate - one.wilson[0] for _, one in found]
        high = [one.wilson[1] - one.rate for _, one in found]
        name = "real pictures" if arm == REAL else arm
        axes.errorbar(at, [one.rate for _, one in found], [low, high], fmt="o-", capsize=3, label=name)
    axes.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xticks=range(len(exposures)), xticklabels=[f"{one:g} s" for one in exposures], ylim=(0, 1))
    axes.set(xlabel="shown for", ylabel="called what they are not")
    figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    return _saved(figure, path, "Rates by exposure")


def _plot_strengths(arms: list[str], strengths: np.ndarray, intervals: np.ndarray, path: Path) -> str:
    if (figure := _figure()) is None:
        return _NO_PLOT
    axes = figure.subplots()
    spread = np.nan_to_num(np.abs(intervals.T - strengths))
    axes.errorbar(strengths, range(len(arms)), xerr=spread, fmt="o", capsize=3)
    axes.set(yticks=range(len(arms)), yticklabels=arms, xlabel="strength (Bradley-Terry, logarithm)")
    return _saved(figure, path, "Strengths of the arms")
