"""What participants answered, as plain rows; and as CSV with the names of jsPsych's columns.

Conventions: of a trial, `response` is the answer's index, as jsPsych's image-button-response counts, and `answer` its
word; times are milliseconds.
"""

import csv
import dataclasses
import io
import json
from pathlib import Path

from vton_jax.core import files
from vton_jax.study.design import ANSWERS
from vton_jax.study.store import Store

TRIAL = (
    "subject", "external", "trial_index", "trial_type", "time_elapsed", "internal_node_id", "rt", "stimulus",
    "response", "correct", "answer", "kind", "arms", "exposure_s", "asked_ms", "shown_ms", "frames", "refresh_ms",
    "onset_ms", "offset_ms", "focus_lost", "repeats",
)  # fmt: skip
EVENT = ("subject", "time_elapsed", "trial_index", "event", "detail", "received")


@dataclasses.dataclass(frozen=True)
class Answered:
    """One answer with its trial."""

    participant: str
    external: str | None
    index: int
    kind: str  # practice, trial, check, repeat
    arms: tuple[str, ...]
    pictures: tuple[int, ...]
    exposure: float  # seconds
    truth: str | None
    of: int | None  # of a repeat, the trial that it repeats
    answer: str
    rt: float | None
    shown_ms: float | None
    frames: int | None
    refresh_ms: float | None
    onset_ms: float | None
    offset_ms: float | None
    focus_lost: int
    elapsed_ms: float | None

    @property
    def correct(self) -> bool | None:
        return None if self.truth is None else self.answer == self.truth

    @property
    def in_time(self) -> bool | None:
        """Whether it was shown for what was asked, to within one frame."""
        if self.shown_ms is None or not self.refresh_ms:
            return None
        return abs(self.shown_ms - 1000 * self.exposure) <= self.refresh_ms + 1e-6


def answered(store: Store) -> list[Answered]:
    """All answers of a study, by session and trial."""
    sessions = {row["id"]: (row, json.loads(row["trials"])) for row in store.all("sessions")}
    found = []
    for row in sorted(store.all("answers"), key=lambda row: (row["session"], row["trial"])):
        session, trials = sessions[row["session"]]
        trial = trials[row["trial"]]
        copied = ("rt", "shown_ms", "frames", "refresh_ms", "onset_ms", "offset_ms", "elapsed_ms")
        values = {name: row[name] for name in copied} | {"focus_lost": row["focus_lost"] or 0, "of": trial.get("of")}
        who, shown = (session["participant"], session["external"]), (tuple(trial["arms"]), tuple(trial["pictures"]))
        asked = {"exposure": trial["exposure"], "truth": trial["truth"], "answer": row["response"]}
        found.append(Answered(*who, row["trial"], trial["kind"], *shown, **asked, **values))
    return found


def write(store: Store, rows: list[Answered], folder: Path) -> None:
    """Writes trials.csv and events.csv."""
    words = ANSWERS[store.settings["question"]]
    names = {row["id"]: f"{row['arm']}/{row['name']}" for row in store.pictures()}
    trials = []
    for one in rows:
        held = dataclasses.asdict(one) | {
            "subject": one.participant, "trial_index": one.index, "trial_type": "image-button-response",
            "time_elapsed": one.elapsed_ms, "internal_node_id": f"0.0-{one.index}.0", "correct": one.correct,
            "stimulus": " | ".join(names[picture] for picture in one.pictures), "response": words.index(one.answer),
            "arms": " | ".join(one.arms), "exposure_s": one.exposure, "asked_ms": 1000 * one.exposure,
            "repeats": one.of,
        }  # fmt: skip
        trials.append([held[name] for name in TRIAL])
    write_csv(folder / "trials.csv", TRIAL, trials)
    who = {row["id"]: row["participant"] for row in store.all("sessions")}
    events = [
        (who[row["session"]], row["elapsed_ms"], row["trial"], row["kind"], row["detail"], row["at"])
        for row in store.all("events")
    ]
    write_csv(folder / "events.csv", EVENT, events)


def write_csv(path: Path, names, rows) -> None:
    """A table with a header; what is None is empty, and what is true or false is written as jsPsych does."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_plain(item) for item in row] for row in rows)
    files.write_text(path, text.getvalue())


def _plain(item):
    """As jsPsych writes it, and no text that a spreadsheet takes for a formula."""
    if item is None:
        return ""
    if isinstance(item, bool):
        return str(item).lower()
    return f"'{item}" if isinstance(item, str) and item[:1] in ("=", "+", "-", "@") else item
