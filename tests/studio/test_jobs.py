"""The queue: places, progress, cancelling, and what is removed."""

import threading
import time

import pytest

from vton_jax.core.errors import UserError
from vton_jax.studio.jobs import Jobs, NoSuchJob, QueueFull


@pytest.fixture
def jobs(tmp_path):
    made = Jobs(tmp_path, keep=60, max_waiting=3)
    yield made
    made.close()


def wait_for(job, *states):
    end = time.monotonic() + 20
    while job.state not in states:
        assert time.monotonic() < end, f"{job.state} {job.error}"
        time.sleep(0.01)


class Slow:
    """Work that goes on until it is let go or cancelled."""

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, job):
        for turn in range(2000):
            job.step("slow", turn, 2000)
            self.begun.set()
            if self.go.wait(0.01):
                return {"turns": turn}
        raise AssertionError("nobody let it go")


def test_jobs_run_one_after_the_other_and_know_their_place(jobs):
    slow, order = Slow(), []
    first = jobs.put(jobs.new(), slow)
    assert slow.begun.wait(20)
    others = [jobs.put(jobs.new(), lambda job, n=n: order.append(n) or {"n": n}) for n in range(2)]
    assert [jobs.place(job) for job in (first, *others)] == [0, 1, 2] and first.stage == "slow"
    slow.go.set()
    wait_for(others[1], "done")
    assert order == [0, 1] and others[1].result == {"n": 1} and jobs.place(others[1]) == 0


def test_cancelling_frees_the_machine(jobs):
    slow = Slow()
    running = jobs.put(jobs.new(), slow)
    assert slow.begun.wait(20)
    waiting, last = jobs.put(jobs.new(), lambda job: {}), jobs.put(jobs.new(), lambda job: {"ran": True})
    jobs.cancel(waiting)
    assert waiting.state == "cancelled" and jobs.place(last) == 1
    jobs.cancel(running)
    wait_for(last, "done")
    assert running.state == "cancelled" and not running.result


def test_faults_are_told_apart(jobs, capsys):
    def wrong(job):
        raise UserError("The picture is empty.")

    def broken(job):
        raise ZeroDivisionError("secret path")

    told, fault = jobs.put(jobs.new(), wrong), jobs.put(jobs.new(), broken)
    wait_for(fault, "failed")
    assert told.error == "The picture is empty." and "secret" not in fault.error
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_full_queue_takes_no_more(jobs):
    slow = Slow()
    jobs.put(jobs.new(), slow)
    assert slow.begun.wait(20)
    for _ in range(3):
        jobs.put(jobs.new(), lambda job: {})
    with pytest.raises(QueueFull, match="3 jobs are waiting"):
        jobs.new()
    slow.go.set()


def test_idle_work_gives_way(jobs):
    slow = Slow()
    jobs.when_idle(slow)
    assert slow.begun.wait(20)
    job = jobs.put(jobs.new(), lambda job: {})
    assert jobs.place(job) == 0  # idle work does not count
    wait_for(job, "done")


def test_what_the_last_jobs_keep_stays_in_memory(tmp_path):
    jobs = Jobs(tmp_path, max_kept=2)
    try:
        made = [jobs.put(jobs.new(), lambda job: setattr(job, "kept", "a reading") or {}) for _ in range(4)]
        wait_for(made[-1], "done")
        assert [job.kept is not None for job in made] == [False, False, True, True]
    finally:
        jobs.close()


def test_results_are_removed_after_a_while(tmp_path):
    jobs = Jobs(tmp_path, keep=0.3)
    try:
        never_put = jobs.new()
        job = jobs.put(jobs.new(), lambda job: (job.folder / "clip").write_text("x") and {})
        packaged = jobs.add_done("example", {"clip": "x"})
        wait_for(job, "done")
        assert (job.folder / "clip").exists()
        time.sleep(0.4)
        for old in (job, never_put):
            with pytest.raises(NoSuchJob):
                jobs.get(old.id)
            assert not old.folder.exists()
        assert jobs.get("example") is packaged
    finally:
        jobs.close()
    assert not list(tmp_path.iterdir())


def test_files_stay_as_long_as_a_job_that_goes_on_with_them(tmp_path):
    jobs = Jobs(tmp_path, keep=0.3)
    try:
        read = jobs.put(jobs.new(), lambda job: {})
        wait_for(read, "done")
        slow, dress = Slow(), jobs.new()
        dress.after = read
        jobs.put(dress, slow)
        time.sleep(0.4)
        assert jobs.get(read.id) is read and read.folder.exists()
        slow.go.set()
        wait_for(dress, "done")
        time.sleep(0.4)
        for gone in (dress, read):
            with pytest.raises(NoSuchJob):
                jobs.get(gone.id)
            assert not gone.folder.exists()
    finally:
        jobs.close()
