"""Faults that a training meets: killed, stopped, damaged files, a full disk, a second run, NaN."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny_training
from tiny_training import memory_source, metrics, saved_state

from vton_jax.training import monitor, run_guard


def assert_same_state(one, two):
    assert jax.tree.structure(one) == jax.tree.structure(two)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)


def start(workdir, *arguments):
    return subprocess.Popen(
        tiny_training.command(workdir, *arguments),
        env=tiny_training.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(happened, process, seconds=120):
    until = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.002)


# --- killed and stopped ----------------------------------------------------------------------------------------------


def test_killed_twice_once_inside_a_save_the_run_ends_the_same(train, tmp_path):
    common = ["--num_steps=24", "--checkpoint_every=2", "--ema_decay=0.9", "--log_every=3"]
    whole = train(*common, "--checkpoint_every=24", name="whole")
    parts = tmp_path / "parts"
    process = start(parts, *common)
    wait_for(lambda: (parts / "checkpoints" / "4").exists(), process)
    wait_for(lambda: list(parts.glob("checkpoints/*orbax-checkpoint-tmp*")), process)
    process.kill()  # SIGKILL
    process.communicate()
    reached = max(int(path.name) for path in parts.glob("checkpoints/*") if path.name.isdigit())
    assert reached < 24
    process = start(parts, *common)
    wait_for(lambda: (parts / "checkpoints" / str(reached + 2)).exists(), process)
    time.sleep(random.Random(time.time_ns()).uniform(0, 0.2))
    process.kill()
    process.communicate()
    train(*common, name="parts")
    assert_same_state(saved_state(parts, 24), saved_state(whole, 24))
    assert metrics(parts) == metrics(whole)
    assert not list(parts.glob("checkpoints/*orbax-checkpoint-tmp*"))


def test_sigterm_saves_within_a_step_and_exits_with_143(train, tmp_path):
    workdir = tmp_path / "run"
    process = start(workdir, "--num_steps=1000000", "--checkpoint_every=1000000", "--schedule=constant")
    wait_for(lambda: (workdir / "metrics.jsonl").exists() and len(metrics(workdir)) > 3, process)
    reached = metrics(workdir)[-1]["step"]
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 143, said
    (checkpoint,) = (int(path.name) for path in workdir.glob("checkpoints/*"))
    assert checkpoint >= reached and metrics(workdir)[-1]["step"] == checkpoint  # what was done is saved, to the step
    assert not (workdir / "finished.json").exists()
    train(f"--num_steps={checkpoint + 1}", "--schedule=constant")
    assert metrics(workdir)[-1]["step"] == checkpoint + 1


# --- damaged files ---------------------------------------------------------------------------------------------------


def largest_file(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def cut(folder):
    path = largest_file(folder / "state")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(folder):
    path = largest_file(folder / "state" / "ocdbt.process_0" / "d")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def lose_a_file(folder):
    (folder / "data" / "metadata").unlink()


def cut_before_the_digests(folder):
    (folder / "sha256.json").unlink()
    for path in (folder / "state").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-7])


@pytest.fixture
def trained(train):
    """A run of ten steps with checkpoints of 5 and 10."""
    return train("--num_steps=10", "--checkpoint_every=5", "--schedule=constant")


@pytest.mark.parametrize("harm", [cut, flip_a_bit, lose_a_file, cut_before_the_digests])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_used(train, trained, capsys, harm):
    good = saved_state(trained, 10)
    harm(trained / "checkpoints" / "10")
    capsys.readouterr()
    train("--num_steps=10", "--checkpoint_every=5", "--schedule=constant")
    said = capsys.readouterr().err
    assert "The checkpoint of step 10 is damaged" in said and "resumed at step 5 " in said
    assert [path.name.split("-")[0] for path in (trained / "damaged").iterdir()] == ["10"]
    assert_same_state(saved_state(trained, 10), good)


def test_when_all_checkpoints_are_damaged_the_run_says_so_and_does_not_begin_anew(train, trained, capsys):
    cut(trained / "checkpoints" / "5")
    cut(trained / "checkpoints" / "10")
    with pytest.raises(SystemExit) as stopped:
        train("--num_steps=10", "--schedule=constant")
    assert stopped.value.code == 2 and "None of the checkpoints" in capsys.readouterr().err
    assert len(list((trained / "damaged").iterdir())) == 2


# --- two runs, a full disk -------------------------------------------------------------------------------------------

HOLD = (
    "import sys, time; from vton_jax.training import run_guard; "
    "lock = run_guard.WorkdirLock(sys.argv[1]); {}time.sleep(600)"
)


@pytest.mark.parametrize("locks", ["with locks", "without locks"])
def test_the_second_run_in_a_folder_is_refused_until_the_first_is_dead(train, tmp_path, monkeypatch, capsys, locks):
    workdir = tmp_path / "run"
    workdir.mkdir()
    before = ""
    if locks == "without locks":  # a file system that has none: the note with its signs of life
        monkeypatch.setattr(run_guard.WorkdirLock, "_lock", lambda self: False)
        monkeypatch.setattr(run_guard, "DEAD_AFTER", 3.0)
        before = "run_guard.WorkdirLock._lock = lambda self: False; run_guard.HEARTBEAT = 0.2; "
    program = HOLD.format("").replace("lock =", before + "lock =")
    owner = subprocess.Popen([sys.executable, "-c", program, str(workdir)], cwd=tiny_training.ROOT)
    try:
        while not (workdir / "run.lock").exists() or not (workdir / "run.lock").read_text():
            assert owner.poll() is None
            time.sleep(0.05)
        with pytest.raises(SystemExit) as stopped:
            train("--num_steps=1")
        assert stopped.value.code == 2
        assert f"by another run (process {owner.pid} on " in capsys.readouterr().err
        assert [path.name for path in workdir.iterdir()] == ["run.lock"]  # nothing of the first was touched
    finally:
        owner.kill()
        owner.wait()
    train("--num_steps=1")
    lock = run_guard.WorkdirLock(workdir)  # and the run that ended has let go
    lock.release()


def test_a_note_of_another_host_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(run_guard.WorkdirLock, "_lock", lambda self: False)
    monkeypatch.setattr(run_guard, "DEAD_AFTER", 0.5)
    (tmp_path / "run.lock").write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    begun = time.monotonic()
    run_guard.WorkdirLock(tmp_path).release()
    assert time.monotonic() - begun >= 0.5 and not (tmp_path / "run.lock").exists()


# Trains three times, the second time on a full disk; writes what was said, and with which exit code.
FILLING = """
import os, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import tiny_training
disk, out = map(Path, sys.argv[2:])

def train(number, steps):
    common = tiny_training.command(disk / "run", "--schedule=constant", "--checkpoint_every=3", steps)[2:]
    os.dup2(os.open(out / str(number), os.O_CREAT | os.O_WRONLY), 2)
    (out / f"code {number}").write_text(str(tiny_training.train_here(common)))

train(1, "--num_steps=3")
subprocess.run(["dd", "if=/dev/zero", f"of={disk / 'fill'}", "bs=1k"], stderr=subprocess.DEVNULL)
train(2, "--num_steps=6")
(out / "checkpoints").write_text(" ".join(path.name for path in (disk / "run" / "checkpoints").iterdir()))
(disk / "fill").unlink()
train(3, "--num_steps=6")
"""


def test_a_full_disk_is_a_sentence_and_the_last_checkpoint_stays(tmp_path):
    """On a tmpfs of its own, in a mount namespace of its own, filled to the last page between two checkpoints."""
    if (
        not shutil.which("unshare")
        or subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], capture_output=True
        ).returncode
    ):
        pytest.skip("mounting a tmpfs is not permitted here")
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    out.mkdir()
    (out / "program.py").write_text(FILLING)
    python = f"{sys.executable} {out / 'program.py'} {Path(tiny_training.__file__).parent} {disk} {out}"
    script = f"mount -t tmpfs -o size=4m none {disk} && exec {python}"
    environment = tiny_training.environment()
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], env=environment, capture_output=True, timeout=300)
    said = {path.name: path.read_text() for path in out.iterdir()}
    assert done.returncode == 0, (said, done.stderr)
    assert [said[f"code {number}"] for number in (1, 2, 3)] == ["0", "2", "0"], said
    assert said["checkpoints"].split() == ["3"], said
    last = said["2"].strip().splitlines()[-1]
    assert "is full" in last and "make room" in last and "Traceback" not in said["2"]
    assert "resumed at step 3" in said["3"]


def test_a_full_disk_inside_a_save(train, trained, monkeypatch, capsys):
    """The same, said by the checkpoint itself: the error comes out of Orbax's own write."""
    import orbax.checkpoint as ocp

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ocp.CheckpointManager, "save", full)
    with pytest.raises(SystemExit) as stopped:
        train("--num_steps=15", "--checkpoint_every=5", "--schedule=constant")
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert stopped.value.code == 2
    assert "the checkpoint of step 15 could not be written, that of step 10 is whole; make room" in last


# --- NaN -------------------------------------------------------------------------------------------------------------


def poisoned(step):
    """An example that is first met in this step of batches of four."""
    order = memory_source(4, 0)
    return int([next(order)["index"] for _ in range(step)][-1][0])


def test_nan_keeps_the_state_and_the_batch_for_inspection(train, tmp_path, capsys):
    clean = train("--num_steps=4", "--schedule=constant", name="clean")
    with pytest.raises(SystemExit) as stopped:
        train("--num_steps=12", f"--poison_at={poisoned(5)}", "--schedule=constant")
    said = capsys.readouterr().err.strip().splitlines()[-1]
    kept = tmp_path / "run" / "not_finite"
    assert stopped.value.code == 2 and f"its batch are in {kept}" in said
    assert_same_state(saved_state(kept, 4), saved_state(clean, 4))  # the state before the bad step, not after it
    order = memory_source(4, 0)
    wanted = [next(order) for _ in range(5)][-1]
    with np.load(kept / "batch_0.npz") as batch:
        np.testing.assert_array_equal(batch["image"], wanted["image"])
        assert poisoned(5) in batch["index"]
    with pytest.raises(SystemExit):  # the folder is a run that begins with the bad step
        train("--num_steps=12", f"--poison_at={poisoned(5)}", "--schedule=constant", name="run/not_finite")
    assert "resumed at step 4" in (said := capsys.readouterr().err) and "stopped at step 5: shade = nan" in said


def test_skipped_nan_changes_nothing_and_training_goes_on(train, capsys):
    workdir = train("--num_steps=11", f"--poison_at={poisoned(5)}", "--on_nan=skip", "--schedule=constant")
    said = capsys.readouterr().err
    order = memory_source(4, 0)
    bad = [step for step in range(1, 12) if poisoned(5) in next(order)["index"]]
    assert bad[0] == 5 and len(bad) == 2  # once an epoch of six steps
    assert all(f"step {step} changes nothing: shade = nan" in said for step in bad)
    assert [line["step"] for line in metrics(workdir) if "loss" in line] == [n for n in range(1, 12) if n not in bad]
    assert saved_state(workdir, 11)["step"] == 11
    whole = train("--num_steps=5", f"--poison_at={poisoned(5)}", "--on_nan=skip", "--schedule=constant", name="five")
    four = train("--num_steps=4", "--schedule=constant", name="four")
    five, four = saved_state(whole, 5), saved_state(four, 4)
    assert_same_state(five["params"], four["params"])
    assert_same_state(five["opt_state"], four["opt_state"])


def test_a_run_that_only_skips_ends(train, capsys, monkeypatch):
    monkeypatch.setattr(monitor, "SKIPPED_IN_A_ROW", 3)
    with pytest.raises(SystemExit):
        train("--num_steps=50", "--noise=nan", "--on_nan=skip")
    assert "Training stopped at step 3" in capsys.readouterr().err
