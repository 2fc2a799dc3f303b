"""What a training refuses in a sentence, before anything is compiled: wrong flags, another run's folder, wrong data."""

import contextlib

import jax
import numpy as np
import pytest
from tiny_training import memory_source, saved_state

from vton_jax.core.errors import UserError
from vton_jax.inputs import input_pipeline
from vton_jax.training import checkpoints, distributed


@contextlib.contextmanager
def nothing_compiled():
    compiled = []

    def listen(event, *_, **__):
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert not compiled


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--learnig_rate=1"], "There is no flag --learnig_rate; did you mean learning_rate?"),
        (["--model=tinny"], "--model=tinny is unknown; did you mean tiny?"),
        (["--tiny_network.widht=3"], "did you mean tiny_network.width?"),
        (["--batch_size=none"], "batch_size"),
        (["--fsdp=2"], "--fsdp=2 does not divide the 1 devices"),
        (["--batch_size=6", "--accumulate=4"], "multiple of the 1 devices times --accumulate=4, for example 8"),
        (["--schedule_seconds=5", "--schedule=constant"], "it needs --schedule=cosine"),
        (["--ema_decay=1"], "--ema_decay=1 would keep the untrained"),
        (["--coordinator=localhost:1234"], "--num_processes, --process_id is missing"),
        (["--coordinator=localhost:1234", "--num_processes=2", "--process_id=2"], "should be one of 0..1"),
        (["--coordinator=localhost", "--num_processes=2", "--process_id=1"], "should be HOST:PORT"),
        (["--export=gs://bucket/file"], "--export is a file of this machine"),
        (["--distributed"], "did not find each other"),
        (["--dataset=/no/such/folder"], "There is no dataset folder /no/such/folder"),
        (["--evaluate_every=2", "--evaluate_split=tset"], "no split 'tset'"),
    ],
)
def test_wrong_flags_die_in_a_sentence_before_anything_is_compiled(train, tmp_path, capsys, arguments, said):
    with nothing_compiled(), pytest.raises(SystemExit) as stopped:
        train(*arguments, source=None if "no/such" in said or "tset" in said else memory_source)
    message = capsys.readouterr().err.strip()
    assert stopped.value.code == 2 and said in message and len(message.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_run_is_refused_before_anything_is_compiled(train, capsys):
    workdir = train("--num_steps=2", "--ema_decay=0.9")
    for argument, said in (
        ("--batch_size=8", "was trained with --batch_size=4, not 8"),
        ("--seed=3", "was trained with --seed=0, not 3"),
        ("--tiny_network.width=5", "does not fit this tiny: ema_params"),
        ("--ema_decay=0", "it has ema_params"),
    ):
        capsys.readouterr()
        with nothing_compiled(), pytest.raises(SystemExit) as stopped:
            train("--num_steps=3", "--ema_decay=0.9", argument)
        message = capsys.readouterr().err.strip().splitlines()[-1]
        assert stopped.value.code == 2 and said in message and "give another --workdir" in message
        assert (workdir / "checkpoints" / "2").is_dir() and not (workdir / "damaged").exists()


def test_a_checkpoint_of_another_model_or_kind_of_data_is_refused(train):
    workdir = train("--num_steps=1")
    state = saved_state(workdir, 1)
    for note, kind, said in (
        ({"model": "re_map_cnn"}, "memory", "holds a run of tiny, not of re_map_cnn"),
        ({"model": "tiny"}, "files", "was trained from another kind of --dataset"),
    ):
        other = checkpoints.Checkpoints(workdir, note)
        with pytest.raises(UserError, match=said):
            other.check(state, kind)
        other.close()


def test_frames_that_do_not_suit_the_size_are_refused():
    input_pipeline.check_frames((256, 192), (128, 96), "data")
    input_pipeline.check_frames((257, 192), (128, 96), "data")  # a pixel's rounding
    with pytest.raises(UserError, match="would enlarge; give --size=64x48"):
        input_pipeline.check_frames((64, 48), (128, 96), "data")
    input_pipeline.check_frames((256, 192), (64, 64), "data")  # another shape is fitted


def test_other_labels_are_refused():
    example = {name: np.zeros((4, 3, 3), np.uint8) for name in input_pipeline.IMAGES} | {"garment_type": 0}
    for person in input_pipeline.PEOPLE:
        example |= {f"{person}_segmentation": np.zeros((4, 3), np.uint8), f"{person}_visible": np.zeros(18, bool)}
        example |= {f"{person}_keypoints": np.zeros((18, 2), np.float32)}
    input_pipeline.from_features(example)
    example["donor_segmentation"][1, 1] = 19  # LIP's right shoe
    with pytest.raises(UserError, match="donor_segmentation has the label 19, but ATR's labels end at 17"):
        input_pipeline.from_features(example)


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, None),
        ({"SLURM_STEP_NUM_TASKS": "1"}, None),
        ({"SLURM_STEP_NUM_TASKS": "4"}, "SLURM"),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
        ({"TPU_WORKER_HOSTNAMES": "job-0.sub,job-1.sub"}, "Cloud TPU"),
        ({"MEGASCALE_COORDINATOR_ADDRESS": "job-0.sub"}, "Cloud TPU"),
        ({"JAX_COORDINATOR_ADDRESS": "job-0.sub:1234"}, "JAX_COORDINATOR_ADDRESS"),
    ],
)
def test_launchers_are_seen(environment, found):
    assert distributed.launcher(environment) == found
