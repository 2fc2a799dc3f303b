"""Flags from dataclasses, flagfiles, sizes, and errors in one sentence."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import pytest
from absl import flags
from absl.testing import flagsaver

from vton_jax.command_line import flag_utils
from vton_jax.core.errors import UserError

FLAGS = flags.FLAGS


class Decoder(nn.Module):
    widths: tuple[int, ...] = (64, 32)
    dtype: Any = jnp.float32

    def __call__(self, x):
        return x


class Network(nn.Module):
    latent_size: int = 128
    size: tuple[int, int] = (256, 192)
    decoder: Decoder = Decoder()
    activation: Any = nn.relu
    dtype: Any = jnp.float32

    def __call__(self, x):
        return x


@dataclasses.dataclass
class Task:
    network: Network = dataclasses.field(default_factory=Network)
    weight: float = 1
    remap: Literal["none", "joint"] = "none"
    adversarial: bool = False
    init_from: str | None = None
    pictures: str | tuple[str, ...] | None = None
    size: tuple[int, int] = (256, 192)


@pytest.fixture(autouse=True)
def fresh_flags():
    with flagsaver.flagsaver():
        yield
    FLAGS.unparse_flags()


def parsed(*arguments):
    flag_utils.parse(["program", *arguments], lambda _: flag_utils.define_settings(Task))
    return flag_utils.build_settings(Task, {"size": (64, 48), "dtype": jnp.bfloat16})


def test_fields_become_flags_and_come_back():
    task = parsed("--network.latent_size=64", "--network.decoder.widths=8,4,2", "--weight=0.5", "--adversarial",
                  "--remap=joint", "--init_from=a.safetensors")  # fmt: skip
    assert (task.weight, task.adversarial, task.remap, task.init_from) == (0.5, True, "joint", "a.safetensors")
    assert task.network.latent_size == 64 and task.network.decoder.widths == (8, 4, 2)
    assert task.network.activation is nn.relu and "network.activation" not in FLAGS


def test_a_flag_that_may_be_given_again():
    assert parsed("--pictures=a,b.png", "--pictures=none").pictures == ("a,b.png", "none")
    FLAGS.unparse_flags()
    assert parsed("--pictures=a.png").pictures == ("a.png",)


def test_shared_settings_reach_every_module_unless_said_otherwise():
    task = parsed("--network.size=32x24")
    assert task.size == (64, 48) and task.network.size == (32, 24)
    assert task.network.dtype == jnp.bfloat16 and task.network.decoder.dtype == jnp.bfloat16


def test_defaults_stay():
    flag_utils.parse(["program"], lambda _: flag_utils.define_settings(Task))
    assert flag_utils.build_settings(Task) == Task()


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--network.latent_sise=64", "did you mean network.latent_size"),
        ("--network.latent_size=many", "network.latent_size"),
        ("--remap=both", "none"),
        ("--size=256", "256x192"),
        ("stray", "Unexpected argument 'stray'"),
        ("--flagfile=missing.flags", "There is no flagfile missing.flags"),
    ],
)
def test_mistakes_die_in_a_sentence(argument, sentence):
    with pytest.raises(UserError, match=sentence):
        parsed(argument)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")]
)
def test_want_of_memory_is_said_in_a_sentence(error, capsys):
    def main():
        raise error

    with pytest.raises(SystemExit) as ended:
        flag_utils.run(main, argv=["command"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith("There is not enough memory; ") and said.count("\n") == 1


def test_nested_flagfiles_and_the_later_flag_wins(tmp_path):
    (tmp_path / "base.flags").write_text("# a recipe\n--weight=2\n--network.latent_size=32\n")
    recipe = tmp_path / "recipe.flags"
    recipe.write_text("--flagfile=base.flags\n\n--weight=3\n")
    task = parsed(f"--flagfile={recipe}", "--adversarial=true")
    assert (task.weight, task.network.latent_size, task.adversarial) == (3, 32, True)
    assert flag_utils.last_value(flag_utils.expand_flagfiles([f"--flagfile={recipe}"]), "weight") == "3"
    (tmp_path / "base.flags").write_text("--flagfile=recipe.flags\n")
    with pytest.raises(UserError, match="includes itself"):
        flag_utils.expand_flagfiles([f"--flagfile={recipe}"])


def test_written_flags_repeat_the_run(tmp_path):
    arguments = ["--network.size=32x24", "--network.decoder.widths=8,4", "--weight=0.25", "--noadversarial"]
    first = parsed(*arguments)
    flag_utils.write_flags(tmp_path / "flags.txt")
    text = (tmp_path / "flags.txt").read_text()
    assert "--network.decoder.widths=8,4\n" in text and "--network.size=32x24\n" in text and "verbosity" not in text
    FLAGS.unparse_flags()
    assert parsed(f"--flagfile={tmp_path / 'flags.txt'}") == first


def test_flags_that_change_are_kept(tmp_path):
    """A run that goes on with other flags says from which step on; the same flags again leave one file."""
    path = tmp_path / "flags.txt"
    parsed("--weight=0.25")
    flag_utils.write_flags(path, 0, "commit 1")
    flag_utils.write_flags(path, 5, "commit 2")
    assert list(tmp_path.iterdir()) == [path] and path.read_text().startswith("# step 5: commit 2\n")
    FLAGS.unparse_flags()
    parsed("--weight=0.5")
    flag_utils.write_flags(path, 9, "commit 3")
    assert "--weight=0.5\n" in path.read_text()
    kept = (tmp_path / "flags_before_step_9.txt").read_text()
    assert "--weight=0.25\n" in kept and kept.startswith("# step 5: commit 2\n")
    assert len(list(tmp_path.iterdir())) == 2


def test_entry_points_exit_with_2_and_one_line():
    program = (
        "from absl import flags\nfrom vton_jax.command_line import flag_utils\nfrom vton_jax.core import errors\n"
        "flags.DEFINE_integer('number', 1, 'A number.')\n"
        "class MediaError(ValueError): pass\n"
        "def main():\n"
        "    if flags.FLAGS.number == 2: raise MediaError('This is no image.')\n"
        "    if flags.FLAGS.number == 3: raise errors.UserError('Give another.')\n"
        "    if flags.FLAGS.number == 4: raise ValueError('a bug')\n"
        "flag_utils.run(main)\n"
    )
    root = Path(__file__).parents[2]
    expected = {"--number=1": (0, ""), "--number=2": (2, "This is no image."), "--number=3": (2, "Give another."),
                "--numbr=3": (2, "There is no flag --numbr; did you mean number?"), "--number=x": (2, None),
                "--number=4": (1, None)}  # fmt: skip
    for argument, (code, said) in expected.items():
        result = subprocess.run([sys.executable, "-c", program, argument], cwd=root, capture_output=True, text=True)
        assert result.returncode == code, (argument, result.stderr)
        if said is not None:
            assert result.stderr.strip() == said
        assert ("Traceback" in result.stderr) == (code == 1)
