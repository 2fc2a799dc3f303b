"""Rates and strengths against slow, obvious references; the report against answers that were made up."""

import json
import math
import sys

import numpy as np
import PIL.Image
import pytest

from vton_jax.core.errors import UserError
from vton_jax.study import report, statistics
from vton_jax.study.options import ReportOptions
from vton_jax.study.records import Answered
from vton_jax.study.store import Store


@pytest.mark.parametrize(("times", "of"), [(0, 10), (3, 10), (48, 100), (7, 7)])
def test_wilson_solves_its_equation(times, of):
    pytest.importorskip("statsmodels", reason="the extra study is not installed")
    z, rate = 1.959963984540054, times / of
    for end in statistics.wilson(times, of):  # (rate - p)^2 = z^2 p (1 - p) / n
        assert abs((rate - end) ** 2 - z**2 * end * (1 - end) / of) < 1e-12
    low, high = statistics.wilson(times, of)
    assert low - 1e-12 <= rate <= high + 1e-12 and statistics.wilson(0, 0) == (0.0, 1.0)


def test_answers_are_counted_by_participant():
    people, hits = ["b", "a", "b", "b"], np.array([True, False, False, True])
    assert statistics.by_participant(people, hits).tolist() == [[0, 1], [2, 3]]


def test_the_bootstrap_draws_participants_not_answers():
    """Twenty people who always, or never, say the same: answers in plenty tell no more than the twenty."""
    counts = np.array([[50, 50]] * 10 + [[0, 50]] * 10)
    low, high = statistics.clustered(counts, 4000, seed=1)
    spread = 1.96 * math.sqrt(0.25 / 20)  # a binomial of participants
    assert abs((high - low) / 2 - spread) < 0.03 and abs((high + low) / 2 - 0.5) < 0.03
    generator, slow = np.random.default_rng(1), []
    for draws in generator.integers(0, 20, (4000, 20)):
        times = of = 0
        for person in draws:
            times, of = times + counts[person][0], of + counts[person][1]
        slow.append(times / of)
    assert np.allclose((low, high), np.percentile(slow, (2.5, 97.5)))
    assert all(math.isnan(end) for end in statistics.clustered(counts[:1], 100))


def slow_bradley_terry(wins, prior):
    """Zermelo's iteration (Hunter 2004, equation 3) with `prior` wins more of each over each."""
    wins = wins + prior * (1 - np.eye(len(wins)))
    strength = np.ones(len(wins))
    for _ in range(20000):
        new = np.empty_like(strength)
        for a in range(len(wins)):
            met = sum((wins[a, b] + wins[b, a]) / (strength[a] + strength[b]) for b in range(len(wins)) if b != a)
            new[a] = wins[a].sum() / met
        new /= np.exp(np.log(new).mean())
        if np.abs(new - strength).max() < 1e-12:
            break
        strength = new
    return np.log(strength) - np.log(strength).mean()


@pytest.mark.parametrize("seed", range(3))
def test_strengths_are_bradley_terrys(seed):
    pytest.importorskip("choix", reason="the extra study is not installed")
    wins = np.random.default_rng(seed).integers(0, 12, (4, 4)) * (1 - np.eye(4, dtype=int))
    wins[0, 1:] = 0  # one that never wins has a strength all the same
    found = statistics.bradley_terry(wins)
    assert np.allclose(found, slow_bradley_terry(wins.astype(float), statistics._PRIOR), atol=1e-4)
    assert found.argmin() == 0


def answered(participant, index, kind, arm, answer, **more):
    truth = "real" if arm == "real" else "generated"
    held = {
        "participant": participant, "external": None, "index": index, "kind": kind, "arms": (arm,), "pictures": (1,),
        "exposure": 1.0, "truth": truth, "of": None, "answer": answer, "rt": 400.0, "shown_ms": 1000.0, "frames": 60,
        "refresh_ms": 16.7, "onset_ms": 0.0, "offset_ms": 1000.0, "focus_lost": 0, "elapsed_ms": 1.0,
    }  # fmt: skip
    return Answered(**held | more)


def test_the_quality_of_a_participant():
    rows = [
        answered("a", 0, "trial", "none", "real"),
        answered("a", 1, "trial", "real", "real", shown_ms=1040.0, rt=800.0, focus_lost=1),
        answered("a", 2, "check", "check", "real", truth="real"),
        answered("a", 3, "check", "check", "real", truth="generated"),
        answered("a", 4, "repeat", "none", "generated", of=0),
        answered("a", 5, "repeat", "real", "real", of=1),
    ]
    found = report.participant("a", rows, True, ReportOptions(least_checks=0.6))
    assert found.checks == (1, 2) and found.repeats == (1, 2) and found.focus_lost == 1
    assert found.in_time == pytest.approx(5 / 6) and found.median_rt == 400 and not found.counted
    assert report.participant("a", rows, True, ReportOptions(least_checks=0.5)).counted


@pytest.fixture
def store(tmp_path):
    """Ten participants: `post` fools the first five always and the others never; `none` fools nobody; the last one
    fails the check, and says the opposite of everybody."""
    settings = {"question": "real", "exposures": [1.0], "arms": ["none", "post"], "title": "A study"}
    pictures = [("none", "c", "generated", b""), ("post", "c", "generated", b""), ("real", "r", "real", b"")]
    store = Store.create(tmp_path / "study.db", settings, pictures)
    kinds = [("trial", "none", 1), ("trial", "post", 2), ("trial", "real", 3), ("check", "check", 3)]
    trials = [
        {"kind": kind, "arms": [arm], "pictures": [picture], "exposure": 1.0,
         "truth": "real" if arm in ("real", "check") else "generated"} for kind, arm, picture in kinds
    ]  # fmt: skip
    for number in range(11):
        row = store.begin(f"t{number}", f"p{number:02}", None, {}, trials_of=lambda *_: trials, rows=2)
        said = ["generated", "real" if number < 5 else "generated", "real", "real"]
        if number == 10:
            said = ["real", "real", "generated", "generated"]
        for trial, response in enumerate(said):
            store.answer(row["id"], trial, f"client{trial}", {"response": response, "focus_lost": 0}, trial == 3)
    return store


def test_the_report_tells_fakes_from_reals_and_leaves_out_who_did_not_look(store, tmp_path):
    pytest.importorskip("statsmodels", reason="the extra study is not installed")
    pytest.importorskip("choix", reason="the extra study is not installed")
    text = report.write(store, tmp_path / "out", ReportOptions(bootstrap=200))
    assert "Participants: 11; to the end: 11; counted: 10" in text
    rows = {(row["arm"], row["exposure_s"]): row for row in json.loads((tmp_path / "out" / "report.json").read_text())}
    assert (rows["none", 1.0]["times"], rows["none", 1.0]["of"]) == (0, 10)
    assert (rows["post", 1.0]["times"], rows["post", 1.0]["of"]) == (5, 10)
    assert (rows["real", "all"]["times"], rows["real", "all"]["of"]) == (0, 10)
    assert "| post | 50.0% [24, 76]" in text
    for name in ("report.md", "table.csv", "trials.csv", "events.csv", "participants.csv"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    assert "p10" in (tmp_path / "out" / "trials.csv").read_text()  # what is not counted is still told


@pytest.fixture
def drawn(monkeypatch):
    """The figures of reports, to be looked into."""
    pytest.importorskip("matplotlib", reason="the extra study is not installed")
    figures, figure = [], report._figure
    monkeypatch.setattr(report, "_figure", lambda: figures.append(figure()) or figures[-1])
    return figures


def points(container):
    """(x, y) of the markers of an error bar."""
    return [tuple(map(float, point)) for point in container.lines[0].get_xydata()]


def test_the_plot_shows_the_rates_of_the_table(store, tmp_path, drawn):
    pytest.importorskip("statsmodels", reason="the extra study is not installed")
    pytest.importorskip("choix", reason="the extra study is not installed")
    text = report.write(store, tmp_path, ReportOptions(bootstrap=100))
    assert "![Rates by exposure](fooling.png)" in text and PIL.Image.open(tmp_path / "fooling.png").size == (900, 600)
    (axes,) = drawn[0].axes
    rates = {bar.get_label(): [y for _, y in points(bar)] for bar in axes.containers}
    assert rates == {"none": [0.0], "post": [0.5], "real pictures": [0.0]}


@pytest.fixture
def pairs(tmp_path):
    """Two participants: `a` over `b` 3 of 4 times, over `c` 2 of 2, and `b` over `c` 1 of 2, on either side."""
    settings = {"question": "better", "exposures": [1.0], "arms": ["a", "b", "c"], "title": "Pairs"}
    pictures = [(arm, "case", "generated", b"") for arm in "abc"]
    store = Store.create(tmp_path / "study.db", settings, pictures)
    answers = {
        "p0": [("a", "b", "left"), ("b", "a", "right"), ("a", "c", "left"), ("b", "c", "left")],
        "p1": [("b", "a", "right"), ("a", "b", "right"), ("c", "a", "right"), ("b", "c", "right")],
    }
    for name, given in answers.items():
        trials = [
            {"kind": "trial", "arms": arms, "pictures": ["abc".index(arm) + 1 for arm in arms], "exposure": 1.0,
             "truth": None} for *arms, _ in given
        ]  # fmt: skip
        row = store.begin(name, name, None, {}, trials_of=lambda *_, trials=trials: trials, rows=1)
        for trial, (*_, side) in enumerate(given):
            store.answer(row["id"], trial, f"client{trial}", {"response": side, "focus_lost": 0}, trial == 3)
    return store


def test_choices_between_two_are_those_counted_by_hand(pairs, tmp_path, drawn):
    pytest.importorskip("statsmodels", reason="the extra study is not installed")
    pytest.importorskip("choix", reason="the extra study is not installed")
    text = report.write(pairs, tmp_path, ReportOptions(bootstrap=100))
    cells = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert cells[0] == ["| chosen over", "a", "b", "c", "strength |"]
    # Wilson's interval of 3 of 4 is 0.3006 to 0.9544, of 2 of 2 0.3424 to 1, of 1 of 2 0.0945 to 0.9055.
    assert cells[1][:4] == ["| a", "", "75.0% [30, 95] {50, 100}, n=4", "100.0% [34, 100] {100, 100}, n=2"]
    assert cells[2][:4] == ["| b", "25.0% [5, 70] {0, 50}, n=4", "", "50.0% [9, 91] {0, 100}, n=2"]
    assert cells[3][:4] == ["| c", "0.0% [0, 66] {0, 0}, n=2", "50.0% [9, 91] {0, 100}, n=2", ""]
    found = json.loads((tmp_path / "report.json").read_text())
    wins = np.array([[0, 3, 2], [1, 0, 1], [0, 1, 0]], float)
    strengths = [found["strengths"][arm] for arm in "abc"]
    np.testing.assert_allclose(strengths, slow_bradley_terry(wins, statistics._PRIOR), atol=1e-4)
    assert cells[1][4].startswith(f"{strengths[0]:+.2f} {{")
    rows = (tmp_path / "table.csv").read_text().splitlines()
    assert rows[1].startswith("a,b,3,4,0.75,0.30") and len(rows) == 1 + 6
    (bar,) = drawn[0].axes[0].containers
    np.testing.assert_allclose(points(bar), [(strength, row) for row, strength in enumerate(strengths)])
    assert "(strengths.png)" in text and (tmp_path / "strengths.png").stat().st_size > 0


def test_a_report_without_plots_says_so(pairs, tmp_path, monkeypatch):
    pytest.importorskip("statsmodels", reason="the extra study is not installed")
    pytest.importorskip("choix", reason="the extra study is not installed")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # cannot be imported
    text = report.write(pairs, tmp_path, ReportOptions(bootstrap=100))
    assert "There is no plot, for want of matplotlib: pip install" in text
    assert not (tmp_path / "strengths.png").exists()


def test_nothing_is_reported_of_nothing(tmp_path):
    pytest.importorskip("statsmodels", reason="the extra study is not installed")
    pytest.importorskip("choix", reason="the extra study is not installed")
    empty = Store.create(tmp_path / "empty.db", {"question": "real", "title": "", "arms": []}, [])
    with pytest.raises(UserError, match="Nobody has answered"):
        report.write(empty, tmp_path / "out", ReportOptions())
    assert not (tmp_path / "out").exists()
