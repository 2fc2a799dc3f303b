"""Who sees what: balanced, each case once, checks and repeats where they should be."""

import collections
import itertools

import pytest

from vton_jax.core.errors import UserError
from vton_jax.study.design import Design, trials_of

ARMS, EXPOSURES = ("none", "post", "joint"), (1.0, 2.0)


def design(question="real", cases=26, reals=20, **changes):
    numbers = itertools.count(1)
    generated = tuple({arm: next(numbers) for arm in ARMS} for _ in range(cases))
    real = tuple(next(numbers) for _ in range(reals))
    answers = ("real", "generated") if question == "real" else ("left", "right")
    checks = {answer: next(numbers) for answer in answers}
    held = {"trials": 24, "practice": 4, "num_checks": 2, "repeats": 3, "seed": 5} | changes
    return Design(question, EXPOSURES, ARMS, real, generated, checks, **held)


def of_kind(trials, kind):
    return [trial for trial in trials if trial["kind"] == kind]


def test_a_participant_sees_each_case_once_and_conditions_as_often():
    asked = design()
    case_of = {picture: case for case, arms in enumerate(asked.generated) for picture in arms.values()}
    for row in range(asked.rows):
        trials = trials_of(asked, row, 10 + row)
        shown = of_kind(trials, "trial")
        fakes = [trial for trial in shown if trial["truth"] == "generated"]
        assert len(shown) == 24 and len(fakes) == 12
        cases = [case_of[trial["pictures"][0]] for trial in fakes]
        assert len(set(cases)) == 12 and max(cases) < 24  # the last two are for practice
        seen = collections.Counter((trial["arms"][0], trial["exposure"]) for trial in fakes)
        assert len(seen) == 6 and set(seen.values()) == {2}
        reals = [trial for trial in shown if trial["truth"] == "real"]
        assert set(collections.Counter(trial["exposure"] for trial in reals).values()) == {6}
        assert len({trial["pictures"][0] for trial in reals}) == 12


def test_over_the_rows_of_the_square_a_case_is_seen_in_every_condition_once():
    asked = design(trials=48, cases=26)  # all 24 cases that are scored
    seen = collections.Counter()
    for row in range(asked.rows):
        for trial in trials_of(asked, row, 1):
            if trial["kind"] == "trial" and trial["truth"] == "generated":
                seen[trial["pictures"][0], trial["exposure"]] += 1
    assert len(seen) == 24 * 3 * 2 and set(seen.values()) == {1}


def test_practice_is_never_scored_and_comes_first():
    asked = design()
    trials = trials_of(asked, 3, 8)
    assert [trial["kind"] for trial in trials[:4]] == ["practice"] * 4
    practised = {picture for trial in trials[:4] for picture in trial["pictures"]}
    for number in range(20):
        scored = of_kind(trials_of(asked, number % 6, number), "trial")
        assert not practised & {picture for trial in scored for picture in trial["pictures"]}


def test_checks_lie_within_and_repeats_at_the_end():
    trials = trials_of(design(), 2, 4)
    kinds = [trial["kind"] for trial in trials]
    assert kinds.count("check") == 2 and kinds[-3:] == ["repeat"] * 3 and "check" in kinds[10:24]
    for trial in trials[-3:]:
        first = trials[trial["of"]]
        assert first["kind"] == "trial" and first["pictures"] == trial["pictures"]
        assert first["exposure"] == trial["exposure"]
    assert {trial["truth"] for trial in of_kind(trials, "check")} == {"real", "generated"}


def test_of_two_arms_both_stand_on_either_side():
    asked = design("better", trials=18, practice=2)
    sides = collections.Counter()
    for number in range(30):
        for trial in of_kind(trials_of(asked, number % asked.rows, number), "trial"):
            assert len(set(trial["arms"])) == 2 and trial["truth"] is None
            sides[tuple(trial["arms"])] += 1
    assert len(sides) == 6 and max(sides.values()) < 1.4 * min(sides.values())


def test_the_same_session_gets_the_same_trials():
    assert trials_of(design(), 1, 7) == trials_of(design(), 1, 7) != trials_of(design(), 1, 8)


def test_what_cannot_be_asked_is_said():
    with pytest.raises(UserError, match="two real pictures"):
        design(reals=1)
    with pytest.raises(UserError, match="no cases"):
        design(cases=0)
