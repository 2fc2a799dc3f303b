"""Many try-ons in one run, with a system of a few lines: tables as people save them, rows that fail, and going on."""

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from painted_system import SIZE, PaintedSystem

from vton_jax import systems
from vton_jax.core.errors import UserError, WrongOption
from vton_jax.media import photo_files, video_files
from vton_jax.systems import batches, job_tables, pictures
from vton_jax.systems.options import JobOptions
from vton_jax.systems.remembering import Memory, RememberingSystem

HERE = Path(__file__).resolve().parents[1]


class CountingSystem(PaintedSystem):
    """Counts what it reads."""

    def __init__(self, **rest):
        super().__init__(**rest)
        self.read = []

    def read_user(self, frame, shown=None):
        self.read.append("user")
        return super().read_user(frame, shown)

    def read_garment(self, frame, *rest, **named):
        self.read.append("garment")
        return super().read_garment(frame, *rest, **named)

    def read_poses(self, frames):
        self.read.append("poses")
        return super().read_poses(frames)


@pytest.fixture
def folder(tmp_path):
    for name, left in (("me", 16), ("you", 20)):
        person = np.full((*SIZE, 3), 255, np.uint8)
        person[4:60, left : left + 12] = 20
        photo_files.write_image(tmp_path / f"{name}.png", person)
    for name, colour in (("blue", [0, 90, 190]), ("red", [190, 30, 0])):
        photo_files.write_image(tmp_path / f"{name}.png", np.full((*SIZE, 3), colour, np.uint8))
    video_files.write_video(tmp_path / "walk.mp4", [np.roll(person, shift, 1) for shift in range(3)], 10)
    return tmp_path


def table(folder, text, encoding="utf-8"):
    (folder / "jobs.csv").write_bytes(textwrap.dedent(text).lstrip().encode(encoding))
    return folder / "jobs.csv"


def run(path, system, **rest):
    """The outcomes of a table, in the order of its lines."""
    rows = job_tables.read(path, JobOptions(system="toy"))
    batch = batches.Batch(rows, path, create=lambda options: system, **rest)
    return sorted(batch.outcomes(), key=lambda outcome: outcome.row.line)


def manifest(path):
    return [json.loads(line) for line in path.with_suffix(".manifest.jsonl").read_text().splitlines()]


# ------------------------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_is_read_however_it_was_saved(tmp_path, encoding, end):
    lines = [
        " person ,Garment, pose,output , num_frames,tuck",
        "",
        'me.png, "a, b.png ; none.png" , ,out/Ü 1.mp4, 7 ,in',
        ",,,,,",
        "sub/you.png,None,walk.mp4,two.mp4",
    ]
    path = table(tmp_path, end.join(lines) + end, encoding)
    first, second = job_tables.read(path, JobOptions(remap="joint"))
    at = lambda name: str(tmp_path / name)  # noqa: E731
    assert (first.line, second.line) == (3, 5) and first.problem is second.problem is None
    assert first.options == JobOptions(
        person=at("me.png"), garment=(at("a, b.png"), at("none.png")), num_frames=7, tuck="in", remap="joint"
    )
    assert first.written() == (tmp_path / "out" / "Ü 1.mp4", tmp_path / "out" / "Ü 1.png")
    assert second.options == JobOptions(person=at("sub/you.png"), garment="None", pose=at("walk.mp4"), remap="joint")


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "is empty"),
        ("person,garment,output\n\n", "no row"),
        ("person,garment,outptu\na,b,c", "no column outptu; did you mean output?"),
        ("person,garment,output,person\na,b,c,d", "2 columns named person"),
        ("person,garment,pose\na,b,c", "lacks the column output"),
        ("person;garment;output\na;b;c", "semicolons; save it with commas"),
        ('person,garment,output\n"a,b,c.mp4\nd,e,f.mp4\n', "quotation mark"),
        ("person,garment,output\na,b,o/c.mp4\nd,e,o/../o/c.mp4\n", "lines 2 and 3 both write"),
        ("person,garment,output\na.png,b,a.mp4", "line 2 would write over"),
        ("person,garment,output\na,b,c.mp4\nd,c.png,e.mp4", "which line 3 reads"),
    ],
)
def test_a_table_that_cannot_be_is_refused_as_a_whole(tmp_path, text, words):
    path = tmp_path / "jobs.csv"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        job_tables.read(path)
    assert words in str(error.value) and "jobs.csv" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "cells, words",
    [
        (",b,c.mp4,,", "no person"),
        ("a,,c.mp4,,", "no garment"),
        ("a,b,,,", "no output"),
        ("a,none;b,c.mp4,,", "goes with no other garment"),
        ("a,b,c.mp4,-1,", "num_frames=-1 should be a whole number, at least 1"),
        ("a,b,c.mp4,,uper", "garment_type=uper is unknown; did you mean upper?"),
        ("a,b,c.mp4,,,more", "more cells"),
    ],
)
def test_a_row_that_cannot_be_is_its_own_problem(tmp_path, cells, words):
    path = table(tmp_path, f"person,garment,output,num_frames,garment_type\n{cells}\ne,f,g.mp4\n")
    wrong, right = job_tables.read(path)
    assert words in str(wrong.problem) and right.problem is None


# ------------------------------------------------------------------------------------------------------------ batches

FOUR = """
    person,garment,pose,output
    me.png,blue.png,walk.mp4,out/1.mp4
    me.png,red.png,walk.mp4,out/2.mp4
    you.png,blue.png,,out/3.mp4
    me.png,blue.png,walk.mp4,out/4.mp4
    """


def test_rows_are_made_and_what_they_share_is_read_once(folder, monkeypatch):
    decoded = []
    plainly = video_files.open_frames
    monkeypatch.setattr(video_files, "open_frames", lambda *given: decoded.append(given) or plainly(*given))
    path, system, made = table(folder, FOUR), CountingSystem(), []
    outcomes = run(path, system)
    assert [outcome.state for outcome in outcomes] == ["made"] * 4
    assert [outcome.frames for outcome in outcomes] == [3, 3, 1, 3]
    assert {name: system.read.count(name) for name in ("user", "garment", "poses")} == {
        "user": 2, "garment": 2, "poses": 2,
    }  # fmt: skip
    assert len(decoded) == 1
    for index, colour in zip((1, 2, 3, 4), ([0, 90, 190], [190, 30, 0], [0, 90, 190], [0, 90, 190]), strict=True):
        made.append(video_files.read_frames(folder / "out" / f"{index}.mp4")[0])
        frame = made[-1][0].astype(int)
        assert np.abs(frame - colour).max(-1).min() < 25, "nobody wears the garment of the row"
        assert (folder / "out" / f"{index}.png").is_file()
    assert (made[0] == made[3]).all()
    entries = sorted(manifest(path), key=lambda entry: entry["line"])
    assert [entry["output"] for entry in entries] == [f"out/{index}.mp4" for index in (1, 2, 3, 4)]
    assert entries[0]["state"] == "made" and entries[0]["frames"] == 3 and entries[0]["seconds"] > 0
    assert any("blue.png" in note for note in entries[0]["notes"])
    assert entries[0]["digest"] == entries[3]["digest"] != entries[1]["digest"]


def test_a_bad_row_is_passed_over_and_tried_again(folder):
    path = table(folder, FOUR.replace("red.png", "missing.png"))
    system = CountingSystem()
    system.read_garment = lambda *_: 1 / 0
    outcomes = run(path, system)
    assert [outcome.state for outcome in outcomes] == ["failed"] * 4
    assert "missing.png does not exist" in outcomes[1].error and outcomes[1].trace is None
    assert "ZeroDivisionError" in outcomes[0].error and "1 / 0" in outcomes[0].trace
    assert not (folder / "out" / "1.mp4").exists()
    assert [outcome.state for outcome in run(path, CountingSystem())] == ["made", "failed", "made", "made"]
    photo_files.write_image(folder / "missing.png", np.full((*SIZE, 3), 50, np.uint8))
    assert [outcome.state for outcome in run(path, CountingSystem())] == ["kept", "made", "kept", "kept"]


def test_it_goes_on_where_it_stopped(folder):
    path = table(folder, FOUR)
    system = CountingSystem(pause=lambda: system.dressed < 3 or batch._workers[0]._stopped.wait(10))
    batch = batches.Batch(job_tables.read(path, JobOptions(system="toy")), path, create=lambda options: system)
    some = batch.outcomes()
    first = next(some)
    some.close()  # as Ctrl-C does
    assert len(manifest(path)) == 1 and first.row.line == 2
    assert system.dressed <= 4 and not (folder / "out" / "2.mp4").exists(), "it ends before the next frame"
    log = path.with_suffix(".manifest.jsonl")
    log.write_bytes(log.read_bytes() + b'{"line": 3, "outp')  # a run that was killed
    states = [outcome.state for outcome in run(path, CountingSystem())]
    assert states == ["kept", "made", "made", "made"]
    assert log.read_text().count("\n") == 5  # the torn line stands alone
    assert [outcome.state for outcome in run(path, CountingSystem())] == ["kept"] * 4
    assert log.read_text().count("\n") == 5


def test_what_changes_is_made_again(folder):
    path = table(folder, FOUR)
    run(path, CountingSystem())
    states = lambda **rest: [outcome.state for outcome in run(path, CountingSystem(), **rest)]  # noqa: E731
    photo_files.write_image(folder / "red.png", np.full((*SIZE, 3), [150, 60, 0], np.uint8))
    (folder / "out" / "3.png").unlink()
    assert states() == ["kept", "made", "made", "kept"]
    table(folder, FOUR.replace("output", "output,num_frames").replace("4.mp4", "4.mp4,2"))
    assert states() == ["kept", "kept", "kept", "made"]
    table(folder, FOUR.replace("blue.png,,", "blue.png,walk.mp4,"))
    assert states() == ["kept", "kept", "made", "made"]
    (folder / "me.png").rename(folder / "same.png")
    table(folder, FOUR.replace("blue.png,,", "blue.png,walk.mp4,").replace("me.png", "same.png"))
    assert states() == ["kept"] * 4, "a file's name says nothing of its contents"
    assert states(remake=True) == ["made"] * 4


def test_other_weights_make_it_again(folder):
    path = table(folder, "person,garment,output,weights\nme.png,blue.png,1.mp4,own\nme.png,blue.png,2.mp4,\n")
    (folder / "own").mkdir()
    found = []
    for contents in (b"one", b"one", b"two"):
        (folder / "own" / "network.safetensors").write_bytes(contents)
        found.append([outcome.state for outcome in run(path, CountingSystem())])
    assert found == [["made", "made"], ["kept", "kept"], ["made", "kept"]]


def test_a_system_serves_all_rows_of_its_options(folder):
    created = []
    text = """
    person,garment,output,solver
    me.png,blue.png,1.mp4,adam
    me.png,blue.png,2.mp4,lbfgs
    me.png,red.png,3.mp4,adam
    me.png,red.png,4.mp4,
    """
    path = table(folder, text)
    rows = job_tables.read(path, JobOptions(system="toy", solver="adam"))
    create = lambda options: created.append((options.solver, options.remap)) or CountingSystem()  # noqa: E731
    batch = batches.Batch(rows, path, create=create)
    assert [outcome.state for outcome in batch.outcomes()] == ["made"] * 4
    assert created == [("adam", "post"), ("lbfgs", "post")], "auto is what it is to a single job"


def test_the_command_says_what_failed_and_what_a_row_cost(folder, command, capsys, monkeypatch):
    monkeypatch.setitem(systems.SYSTEMS, "toy", lambda options: PaintedSystem())
    path = table(folder, FOUR.replace("red.png", "missing.png"))
    with pytest.raises(SystemExit) as exit_:
        command("vton_jax.render", f"--jobs={path}", "--system=toy", "--num_frames=2")
    said = capsys.readouterr().err
    assert exit_.value.code == 1
    assert f"{path}, line 3: {folder / 'missing.png'} does not exist" in said and "Traceback" not in said
    assert "3 rows in" in said and "s a row" in said and "1 failed" in said and "jobs.manifest.jsonl" in said
    assert len(video_files.read_frames(folder / "out" / "1.mp4")[0]) == 2
    table(folder, FOUR)
    command("vton_jax.render", f"--jobs={path}", "--system=toy", "--num_frames=2")
    assert "1 row in" in (said := capsys.readouterr().err) and "3 made before" in said
    for wrong in (["--output=a.mp4", f"--jobs={path}"], ["--remake"], [f"--jobs={folder / 'no.csv'}"]):
        with pytest.raises(SystemExit) as exit_:
            command("vton_jax.render", *wrong)
        assert exit_.value.code == 2 and len(capsys.readouterr().err.splitlines()) == 1


PROGRAM = """
import sys
import time
import jax
from painted_system import PaintedSystem
from vton_jax.systems import batches, job_tables, pictures
from vton_jax.systems.options import JobOptions

class OnDevices(PaintedSystem):
    def dress(self, user, garments, poses):
        used.append(str(next(iter((jax.numpy.zeros(1) + 1).devices()))))
        while len(set(used)) < 2:  # until the other one has begun
            time.sleep(0.01)
        yield from super().dress(user, garments, poses)

used = []
rows = job_tables.read(sys.argv[1], JobOptions(system="toy"))
batch = batches.Batch(rows, sys.argv[1], create=lambda options: OnDevices())
print([outcome.state for outcome in batch.outcomes()], len(set(used)))
"""


def test_rows_are_divided_among_devices(folder):
    path = table(folder, FOUR)
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    paths = os.pathsep.join([str(HERE), str(HERE.parent)])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)],
        env=os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "['made', 'made', 'made', 'made'] 2", done.stderr
    assert len(manifest(path)) == 4


# ------------------------------------------------------------------------------------------------------------- memory


def test_a_memory_is_bounded_and_forgets_the_oldest():
    memory, calls = Memory(limit=1000), []
    make = lambda name: calls.append(name) or np.zeros(50)  # 400 bytes  # noqa: E731
    for name in "aabacab":
        memory.call(name, make, name)
    assert calls == ["a", "b", "c", "b"] and memory.size == 800
    large = [memory.call("large", lambda: np.zeros(500)) for _ in range(2)]
    assert large[0] is not large[1] and memory.size == 800


def test_a_file_that_changed_is_read_again(tmp_path):
    memory, path = Memory(), tmp_path / "file"
    for text in ("one", "one", "three"):
        path.write_text(text)
        os.utime(path, ns=(0, 0))
        assert memory.call_on_file(Path.read_text, path) == text


def test_a_system_that_remembers_reads_what_the_system_reads():
    system, memory = CountingSystem(), Memory()
    remembering = RememberingSystem(system, memory, "toy")
    frames = np.random.default_rng(0).integers(0, 255, (2, *SIZE, 3), np.uint8)
    mask = np.zeros(SIZE, bool)
    mask[8:40, 8:40] = True
    asked = [(frames[0], "upper"), (frames[0], "lower"), (frames[0], "upper", True), (frames[0], "upper", True, mask)]
    for given in (*asked, *asked):
        found, true = remembering.read_garment(*given), PaintedSystem().read_garment(*given)
        assert all((getattr(found, name) == getattr(true, name)).all() for name in ("image", "garment_type", "flat"))
    assert (remembering.read_user(frames[0]).image == remembering.read_user(frames[0].copy()).image).all()
    assert (remembering.read_user(frames[1]).image != remembering.read_user(frames[0]).image).any()
    assert system.read == ["garment"] * 4 + ["user"] * 2
    other = RememberingSystem(CountingSystem(), memory, "other")
    other.read_user(frames[0])
    assert other._part.read == ["user"], "systems read in their own ways"


def test_errors_are_not_kept():
    memory, answers = Memory(), [WrongOption("pose", "a", "is wrong."), 7]

    def answer():
        if isinstance(found := answers.pop(0), WrongOption):
            raise found
        return found

    with pytest.raises(WrongOption):
        memory.call("key", answer)
    assert memory.call("key", answer) == memory.call("key", answer) == 7


def test_every_option_may_be_a_column(tmp_path):
    """Cells become what the flag would be, of every kind."""
    given = {"painted_rate": "12.5", "num_frames": "7", "tuck": "in", "output_size": "64x48", "temporal_filter": "none"}
    (row,) = job_tables.read(
        table(tmp_path, f"person,garment,output,{','.join(given)}\na,b,c.mp4,{','.join(given.values())}\n")
    )
    assert row.problem is None
    options = JobOptions(person=str(tmp_path / "a"), garment=str(tmp_path / "b"), painted_rate=12.5, num_frames=7)
    assert row.options == dataclasses.replace(options, tuck="in", output_size="64x48", temporal_filter="none")
    (row,) = job_tables.read(table(tmp_path, 'person,garment,output,garment_box\na,b;c,d.mp4,";0,0,1,0.5"\n'))
    assert row.options.garment_box == ("", "0,0,1,0.5")
    (row,) = job_tables.read(table(tmp_path, "person,garment,output,garment_mask\na,b;c,d.mp4,;m\n"))
    assert row.options.garment_mask == ("", str(tmp_path / "m"))
    assert row.inputs()["garment_mask"] == (tmp_path / "m",)
    for cell in ("many", "-1", "nan"):
        (row,) = job_tables.read(table(tmp_path, f"person,garment,output,painted_rate\na,b,c.mp4,{cell}\n"))
        assert f"painted_rate={cell} should be a number, at least 0" in str(row.problem)


def test_a_pose_clip_counts_as_much_as_its_frames(folder):
    memory = Memory()
    options = JobOptions(person=str(folder / "me.png"), garment=str(folder / "blue.png"), pose=str(folder / "walk.mp4"))
    before = memory.size
    found = pictures.read(options, memory.call_on_file)
    assert memory.size - before >= sum(frame.nbytes for frame in found.poses) > 0


def test_what_a_reading_was_told_by_name_counts():
    system, asked = CountingSystem(), []
    system.read_poses = lambda frames, thorough=None: asked.append(thorough) or thorough
    remembering = RememberingSystem(system, Memory(), "toy")
    frames = np.zeros((1, *SIZE, 3), np.uint8)
    told = [remembering.read_poses(frames, **known) for known in ({}, {"thorough": False}, {}, {"thorough": False})]
    assert told == [None, False, None, False] and asked == [None, False]
