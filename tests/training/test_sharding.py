"""One device or many, one process or several: the same run.

Parameters of runs on other devices are compared within 1e-6. The sums over a batch are added up in another order, which
changes the last bits of float32 gradients; steps are 1e-2, parameters below 1, and the difference measured on two CPU
cores after three steps was 6e-8, one unit in the last place. A wrong mean, noise of other rows or a lost shard moves
parameters by 1e-3.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_training

from vton_jax.core.errors import UserError
from vton_jax.inputs import drawn_batches
from vton_jax.training import sharding, train_state


def three_steps(mesh):
    """The state after three steps on a mesh, where it lies."""
    task, source = tiny_training.TinyTask(tiny_training.TinyNetwork(64)), tiny_training.memory_source(16, 0)
    optimizer = train_state.make_optimizer(1e-2, 3, 0, 1.0)
    state = train_state.create(task.init(jax.random.PRNGKey(0), next(source)), optimizer, 0.9)
    shardings = sharding.state_shardings(state, mesh)
    state = sharding.place(state, shardings)
    step = train_state.make_train_step(task, optimizer, 0.9, mesh=mesh)
    step = jax.jit(step, donate_argnums=0, out_shardings=(shardings, sharding.replicated(mesh)))
    for _ in range(3):
        batch = train_state.shard_batch(next(source), mesh)
        state, _ = step(state, sharding.replicate(task.frozen(), mesh), batch, jax.random.PRNGKey(1))
    assert step._cache_size() == 1  # compiled once: what comes out goes in again as it is
    return state


def flat(state):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves((state.params, state.ema_params))])


def many_devices(folder, path) -> None:
    """Runs in a process with eight devices: parameters by mesh into the file `path`, a sharded state into `folder`."""
    from vton_jax.training import checkpoints

    assert jax.device_count() == 8
    found = {}
    for name, mesh in (
        ("data parallel", sharding.make_mesh()),
        ("fsdp", sharding.make_mesh(8)),
        ("both", sharding.make_mesh(4)),
    ):
        state = three_steps(mesh)
        found[name] = flat(state).tolist()
        kernel = state.params["tiny_network"]["Conv_1"]["kernel"]
        assert kernel.shape == (3, 3, 64, 3)
        assert kernel.addressable_shards[0].data.shape == (3, 3, 64 // mesh.shape["fsdp"], 3)
        moment = state.opt_state[1][0].mu["tiny_network"]["Conv_1"]["kernel"]
        assert moment.sharding == kernel.sharding
    saved = checkpoints.Checkpoints(folder, {"model": "tiny"})
    saved.save(3, state, tiny_training.memory_source(16, 0), {})
    saved.wait()
    saved.close()
    Path(path).write_text(json.dumps(found))


COMMON = ["--batch_size=8", "--schedule=constant", "--learning_rate=1e-3", "--tiny_network.width=64"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def told(number, *, slurm=False):
    """Flags and variables of `number` processes that talk to each other, told by flags or as srun would tell them."""
    port, found = free_port(), []
    for index in range(number):
        flags = [f"--coordinator=localhost:{port}", f"--num_processes={number}", f"--process_id={index}"]
        variables = {"SLURM_JOB_ID": str(port), "SLURM_STEP_NODELIST": "localhost", "SLURM_LOCALID": str(index)}
        variables |= {"SLURM_PROCID": str(index), "SLURM_NTASKS": str(number), "SLURM_STEP_NUM_TASKS": str(number)}
        found.append(([], variables) if slurm else (flags, {}))
    return found


def start(stages) -> None:
    """Forks the processes of each stage, which find all imported, and waits for them before the next stage.

    Args: stages: of processes (variables, flags of a training, file for what is said, arguments of `many_devices`,
    which comes before the training, or none).
    """
    from vton_jax import train  # noqa: F401
    from vton_jax.training import loop  # noqa: F401

    for stage in stages:
        running = []
        for variables, flags, said, folders in stage:
            running.append(os.fork())
            if not running[-1]:
                os.environ.update(variables)
                os.dup2(os.open(said, os.O_CREAT | os.O_WRONLY), 2)
                if folders:
                    many_devices(*folders)
                sys.exit(tiny_training.train_here(flags))
        codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in running]
        if any(codes):
            sys.exit(f"exit codes {codes}")


@pytest.fixture(scope="module")
def eight_devices(tmp_path_factory):
    """Two processes train, two go on, and one with eight devices, which runs `many_devices` before.

    Returns: the folder of `many_devices`, its parameters by mesh, the folder of the run, and what the first process of
    each of the three said.
    """
    folder = tmp_path_factory.mktemp("eight")
    stages = (
        ([*COMMON, "--num_steps=3", "--pictures_every=2", "--fsdp=2"], told(2), 1),
        ([*COMMON, "--num_steps=5", "--evaluate_every=4"], told(2, slurm=True), 1),
        ([*COMMON, "--num_steps=7", "--fsdp=4"], [([], {})], 8),
    )
    given = [
        [
            (
                {"XLA_FLAGS": tiny_training.environment(devices)["XLA_FLAGS"]} | variables,
                [*tiny_training.command(folder / "parts", *arguments)[2:], *flags],
                str(folder / f"said_{stage}_{index}"),
                [str(folder / "saved"), str(folder / "found.json")] if devices > 1 else [],
            )
            for index, (flags, variables) in enumerate(processes)
        ]
        for stage, (arguments, processes, devices) in enumerate(stages)
    ]
    program = "import json, sys; sys.path[:0] = sys.argv[1:4]; import test_sharding as t; t.start(json.load(sys.stdin))"
    tests = tiny_training.ROOT / "tests"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tiny_training.ROOT), str(tests), str(tests / "training")],
        env=tiny_training.environment(),
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = {path.name: path.read_text() for path in folder.glob("said_*")}
    assert done.returncode == 0, (done.stderr, said)
    found = {name: np.array(values) for name, values in json.loads((folder / "found.json").read_text()).items()}
    return folder / "saved", found, folder / "parts", [said[f"said_{stage}_0"] for stage in range(3)]


def test_eight_devices_equal_one(eight_devices):
    folder, found, _, _ = eight_devices
    here = flat(three_steps(sharding.make_mesh()))
    for name in ("data parallel", "fsdp", "both"):
        np.testing.assert_allclose(found[name], here, rtol=0, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(found["fsdp"], found["data parallel"], rtol=0, atol=1e-6)
    # The state that lay on eight devices comes back to one, bit by bit.
    whole = tiny_training.saved_state(folder, 3)
    leaves = jax.tree.leaves((whole["params"], whole["ema_params"]))
    np.testing.assert_array_equal(np.concatenate([np.ravel(leaf) for leaf in leaves]), found["both"])


def examples_of(line) -> set[int]:
    """The examples of a logged step, from the term `seen`."""
    return {index for index in range(tiny_training.EXAMPLES) if int(line["seen"]) >> index & 1}


def test_two_processes_train_save_and_resume_and_hand_over(train, tmp_path, eight_devices):
    """Two processes, again two, eight devices with fsdp, one device: the run of one device, each example once."""
    parts = tmp_path / "parts"
    shutil.copytree(eight_devices[2], parts)
    first, second, third = eight_devices[3]
    assert "2 processes" in first
    assert "2 processes" in second and "resumed at step 3" in second
    assert "8 devices" in third and "resumed at step 5" in third
    whole = train(*COMMON, "--num_steps=9", name="whole")
    train(*COMMON, "--num_steps=9", name="parts")
    lines = [line for line in tiny_training.metrics(parts) if "seen" in line]
    assert [line["step"] for line in lines] == list(range(1, 10))
    assert [line["seen"] for line in lines] == [line["seen"] for line in tiny_training.metrics(whole)]
    for epoch in range(3):  # of three steps
        met = [index for line in lines[3 * epoch : 3 * epoch + 3] for index in examples_of(line)]
        assert sorted(met) == list(range(tiny_training.EXAMPLES))
    ours, theirs = (tiny_training.saved_state(folder, 9)["params"] for folder in (parts, whole))
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


@pytest.mark.parametrize("source", [tiny_training.memory_source, tiny_training.grain_source])
def test_processes_share_the_batch_of_one(monkeypatch, source):
    alone = source(8, 5)
    wanted = [next(alone) for _ in range(7)]
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    parts = []
    for index in range(4):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        batches = source(8, 5)
        batches.set_state({"position": 3})
        parts.append([next(batches) for _ in range(4)])
    for step in range(4):
        for name in ("index", "image"):
            together = np.concatenate([part[step][name] for part in parts])
            np.testing.assert_array_equal(together, wanted[3 + step][name])
    with pytest.raises(UserError, match="multiple of the 4 processes"):
        source(6, 5)


def test_drawn_examples_are_shared_by_rows(monkeypatch):
    pytest.importorskip("grain")
    one = lambda place, **of: {"image": np.full((4, 2), place), **{name: np.array(of[name]) for name in ("seed",)}}  # noqa: E731
    monkeypatch.setattr(drawn_batches, "example", one)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    for index in range(2):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        batches = drawn_batches.open_batches(3, 6, (4, 2))
        assert batches.shapes()["input_image"].shape == (3, 4, 2, 3)
        batches.set_state({"position": 1})
        found = next(batches)
        np.testing.assert_array_equal(found["image"][:, 0, 0], 6 + 3 * index + np.arange(3))
        assert (found["seed"] == 3).all()


def test_what_is_spread_and_what_is_copied():
    mesh = types.SimpleNamespace(shape={"fsdp": 4})
    shapes = {"kernel": (3, 3, 64, 128), "bias": (128,), "odd": (33, 63), "table": (4096, 5), "step": ()}
    tree = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharding, "NamedSharding", lambda mesh, spec: spec)
        specs = {name: tuple(spec) for name, spec in sharding.state_shardings(tree, mesh).items()}
    assert specs == {"kernel": (None, None, None, "fsdp"), "bias": (), "odd": (), "table": ("fsdp",), "step": ()}
    with pytest.raises(UserError, match="--fsdp=3 does not divide the 1 devices; it could be one of 1"):
        sharding.make_mesh(3)


def test_a_batch_that_the_devices_cannot_share(monkeypatch):
    mesh = types.SimpleNamespace(local_mesh=types.SimpleNamespace(size=8), size=8)
    monkeypatch.setattr(sharding, "batch_sharding", lambda mesh: None)
    with pytest.raises(UserError, match="multiple of 8"):
        sharding.shard_batch({"image": np.zeros((12, 2))}, mesh)
