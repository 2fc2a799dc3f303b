"""The contract of a task: every one in TASKS keeps it, and a toy of a few lines trains by the real entry point."""

import dataclasses
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import tiny_training
from absl import flags
from absl.testing import flagsaver
from tiny_training import metrics

from vton_jax.command_line import flag_utils
from vton_jax.inputs import input_pipeline
from vton_jax.models.multi_path_cnn import MultiPathCNN
from vton_jax.tasks import TASKS
from vton_jax.tasks.modules import TaskDefaults
from vton_jax.tasks.protocol import Task
from vton_jax.training import loop, preparation
from vton_jax.training.options import TrainingOptions


@dataclasses.dataclass
class ToyTask(TaskDefaults):
    """Learns the mean brightness."""

    size: tuple[int, int] = (4, 3)
    brightness: float = 0.5
    modules = ("mean",)

    def open_batches(self, dataset, batch_size, seed, size, split):
        image = np.full((8, *size, 3), 255 * self.brightness, np.uint8)
        return input_pipeline.memory_batches({"image": image}, batch_size, seed)

    def init(self, key, batch):
        return {"mean": jnp.zeros(3)}

    def losses(self):
        def loss_fn(params, frozen, batch, rng):
            l2 = jnp.square(batch["image"] / 255 - params["mean"]).mean()
            return l2, {"l2": l2}

        return {"mean": loss_fn}

    def pictures(self, params, frozen, batch):
        return {"toy": np.asarray(batch["image"][0])}

    def finish(self, params, frozen, batches, workdir):
        (workdir / "mean.txt").write_text(" ".join(map(str, np.asarray(params["mean"]).tolist())))


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(TASKS, "toy", ToyTask)
    yield
    flags.FLAGS.unparse_flags()


def run(*arguments):
    from vton_jax import train

    with flagsaver.flagsaver():
        flag_utils.run(train.main, train.define_more_flags, ["train.py", "--model=toy", *arguments])


def test_a_toy_task_trains_by_the_real_entry_point(toy, tmp_path):
    workdir = tmp_path / "run"
    settings = ("--size=4x3", "--learning_rate=0.1", "--warmup_steps=0", "--brightness=0.6", "--log_every=10")
    run(f"--workdir={workdir}", *settings, "--num_steps=60", "--pictures_every=60")
    assert [line["step"] for line in metrics(workdir)] == [10, 20, 30, 40, 50, 60]
    mean = np.array((workdir / "mean.txt").read_text().split(), float)
    np.testing.assert_allclose(mean, 0.6, atol=0.02)


def test_flags_txt_holds_every_option_and_repeats_the_run(toy, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    run(f"--workdir={first}", "--size=4x3", "--num_steps=3", "--brightness=0.25", "--log_every=1", "--remat")
    written = (first / "flags.txt").read_text().splitlines()[1:]
    names = {line.removeprefix("--").partition("=")[0] for line in written}
    given = {field.name for field in dataclasses.fields(TrainingOptions) if field.default is not None}
    assert names >= given | {"model", "workdir", "brightness"} and not names & {"export", "helpfull", "logtostderr"}
    run(f"--flagfile={first / 'flags.txt'}", f"--workdir={second}")
    assert metrics(second) == metrics(first) and len(metrics(first)) == 3
    again = (second / "flags.txt").read_text().splitlines()[1:]
    assert [line for line in again if "workdir" not in line] == [line for line in written if "workdir" not in line]


@pytest.mark.parametrize(("arguments", "dtype"), [([], jnp.bfloat16), (["--dtype=float32"], jnp.float32)])
def test_a_module_keeps_its_dtype_unless_the_flag_is_given(toy, monkeypatch, tmp_path, arguments, dtype):
    seen = []

    @dataclasses.dataclass
    class HalfTask(ToyTask):
        network: tiny_training.TinyNetwork = dataclasses.field(
            default_factory=lambda: tiny_training.TinyNetwork(dtype=jnp.bfloat16)
        )

        def finish(self, params, frozen, batches, workdir):
            seen.append(self.network.dtype)

    monkeypatch.setitem(TASKS, "toy", HalfTask)
    run(f"--workdir={tmp_path / 'run'}", "--size=4x3", "--num_steps=1", *arguments)
    assert seen == [dtype]


def test_every_task_keeps_the_contract():
    members = [name for name in dir(Task) if not name.startswith("_")] + list(Task.__annotations__)
    assert {"modules", "size", "init", "frozen", "losses", "pictures", "finish", "open_batches"} == set(members)
    for name, kind in TASKS.items():
        task = kind()
        assert isinstance(task, Task), f"{name} lacks {[member for member in members if not hasattr(task, member)]}"
        assert name in task.modules and len(task.size) == 2
        losses = task.losses()
        named = {who for key in losses for who in ((key,) if isinstance(key, str) else key)}
        assert named == set(task.modules)
    assert isinstance(ToyTask(), Task) and isinstance(tiny_training.TinyTask(), Task)


def test_parameters_are_those_of_the_modules(toy, monkeypatch, tmp_path):
    monkeypatch.setattr(ToyTask, "init", lambda self, key, batch: {"median": jnp.zeros(3)})
    with pytest.raises(ValueError, match=r"toy\.init gives \['median'\] instead of \['mean'\]"):
        run(f"--workdir={tmp_path / 'run'}", "--size=4x3")
    assert not (tmp_path / "run").exists()


def test_help_waits_for_no_jax():
    """People wait less than a second for it: nothing heavy is imported."""
    program = (
        "import sys; from vton_jax import train; from vton_jax.command_line import flag_utils\n"
        "try: flag_utils.run(train.main, train.define_more_flags, ['train.py', '--help'])\n"
        "finally: assert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tiny_training.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "exit codes: 0 trained" in done.stdout
    for name in (field.name for field in dataclasses.fields(TrainingOptions)):
        assert f"  --{name}=" in done.stdout
    assert "<stop|skip>: At a NaN" in done.stdout


def test_help_lists_the_flags_of_a_model(toy, capsys):
    with pytest.raises(SystemExit) as ended:
        run("--model=re_map_cnn", "--help")
    said = capsys.readouterr().out
    assert ended.value.code == 0 and "--re_map_cnn." in said and "--init_from=" in said and "--num_steps=" in said


def test_the_loop_runs_without_flags(tmp_path):
    options = TrainingOptions(model="toy", workdir=str(tmp_path / "run"), size=(4, 3), num_steps=3, log_every=1)
    options = preparation.join_processes(options)
    loop.TrainingLoop(options, ToyTask(brightness=0.2), preparation.make_mesh(options)).run()
    assert [line["step"] for line in metrics(tmp_path / "run")] == [1, 2, 3]
    assert (tmp_path / "run" / "mean.txt").exists() and not (tmp_path / "run" / "flags.txt").exists()
    with pytest.raises(ValueError, match="Give --workdir=DIR"):
        preparation.join_processes(TrainingOptions())


def test_every_task_says_what_sizes_it_takes():
    for name, task in TASKS.items():
        with pytest.raises(ValueError, match=r"--size=250x190 .* multiples of (16|32|64), for example 256x192"):
            if name == "multi_path_cnn":
                task(MultiPathCNN(size=(250, 190)), size=(250, 190))
            else:
                task(size=(250, 190))
