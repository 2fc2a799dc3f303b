"""The recipes in vton_jax/flagfiles: every one parses and builds its task, and the smoke recipes train."""

import contextlib
import dataclasses
import json
import re
import sys
from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver

from vton_jax.command_line import flag_utils
from vton_jax.inputs import input_pipeline
from vton_jax.models import weights

with contextlib.suppress(ImportError):
    import grain  # noqa: F401  imported before flagsaver looks: it would delete the flags that Grain defines later

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "vton_jax" / "flagfiles"
# No recipes: included, or given on top.
SHARED = (
    "gpu_base",
    "cpu_128x96",
    "smoke_base",
    "triple_guided_cnn_fifth",
    "triple_guided_cnn_sixth",
    "clothflow_base",
)
RECIPES = sorted(path.stem for path in FOLDER.glob("*.flags") if path.stem not in SHARED)


@pytest.fixture
def script():
    from vton_jax import train

    yield train
    flags.FLAGS.unparse_flags()


@contextlib.contextmanager
def parsed(script, *arguments):
    """The task that train.py would build, with the flags readable inside the block."""
    from vton_jax import tasks

    with flagsaver.flagsaver():
        flag_utils.parse(["train.py", *arguments], script.define_more_flags)
        model = flags.FLAGS.model
        yield flag_utils.build_settings(tasks.TASKS[model], {"size": flags.FLAGS.size})


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_parse_and_say_what_they_are(script, name):
    text = (FOLDER / f"{name}.flags").read_text(encoding="utf-8")
    header = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    assert f"python train.py --flagfile=vton_jax/flagfiles/{name}.flags --workdir=runs/{name}" in header
    assert "# Cost: " in header and "# Result" in header
    with parsed(script, f"--flagfile={FOLDER / name}.flags") as task:
        assert task.size == flags.FLAGS.size
        if name.endswith("_smoke"):
            assert flags.FLAGS.num_steps <= 10 and not task.export
        else:
            assert task.export == f"runs/{name}.safetensors"  # what a recipe writes is named after it
            steps = int(re.search(r"training loss at step (\d+)", header)[1])
            last = steps == flags.FLAGS.num_steps
            assert last or (flags.FLAGS.max_seconds and 0 < steps < flags.FLAGS.num_steps)  # whichever ends first


@pytest.mark.parametrize("name", ["multi_path_cnn", "re_map_cnn_start", "triple_guided_cnn_joint"])
def test_the_cpu_variant_goes_on_top(script, name):
    with parsed(script, f"--flagfile={FOLDER / name}.flags", f"--flagfile={FOLDER / 'cpu_128x96.flags'}") as task:
        assert task.size == (128, 96) and flags.FLAGS.dtype == "float32" and flags.FLAGS.batch_size == 16


@pytest.mark.parametrize(
    "recipes",
    [{"none": "none_fifth", "pre": "pre", "joint": "joint_fifth"}, {"none": "none_sixth", "joint": "joint"}],
)
def test_the_arms_differ_in_the_arm_alone(script, recipes):
    """Table 1 compares what began alike: one start, one width, the same batches, as much time."""
    found = {}
    for arm, recipe in recipes.items():
        with parsed(script, f"--flagfile={FOLDER / 'triple_guided_cnn_'}{recipe}.flags") as task:
            own = ("arm", "export", "flagfile", "re_map_weights")
            ours = {n: flags.FLAGS[n].value for n in flag_utils.our_flags() if n not in own}
            found[arm] = (ours, task.triple_guided_cnn)
            assert task.arm == arm and task.init_from == "runs/triple_guided_cnn_none.safetensors"
    assert all(one == found["none"] for one in found.values())


def test_every_weight_has_a_recipe_and_a_card():
    for path in weights.FOLDER.glob("*.safetensors"):
        recipe = "triple_guided_cnn_joint" if path.stem == "re_map_cnn_joint" else path.stem
        assert recipe in RECIPES
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        assert f"{recipe}.flags" in card


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("multi_path_cnn_smoke", "--size=48x48"), "multiples of 32"),
        (("re_map_cnn_smoke", "--size=50x50"), "multiples of 16"),
        (("reader_cnn_smoke", "--size=80x64"), "multiples of 32"),
        (("reader_cnn_smoke", "--dataset=missing.npz"), "neither a file of python data/build.py pictures nor a folder"),
        (("re_map_cnn_smoke", "--layouts=tru"), "--layouts is one of"),
        (("triple_guided_cnn_none_smoke", "--arm=post"), "--arm is one of"),
        (("multi_path_cnn_smoke", "--multi_path_cnn.size=32x32"), "give --size alone"),
    ],
)
def test_mistakes_die_in_a_sentence(script, tmp_path, capsys, arguments, said):
    name, *rest = arguments
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
        argv = ["train.py", f"--flagfile={FOLDER / name}.flags", f"--workdir={tmp_path / 'run'}", *rest]
        flag_utils.run(script.main, script.define_more_flags, argv)
    message = capsys.readouterr().err
    assert stopped.value.code == 2 and said in message and len(message.strip().splitlines()) == 1


def test_weights_of_another_size_die_in_a_sentence(script):
    for arguments in (("re_map_cnn_smoke", "--layouts=mixed"), ("triple_guided_cnn_pre_smoke", "--re_map_weights=")):
        name, change = arguments
        with (
            parsed(script, f"--flagfile={FOLDER / name}.flags", change) as task,
            pytest.raises(ValueError, match="--size"),
        ):
            task.frozen()


def logged(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_a_smoke_recipe_trains_and_exports(train_script, tmp_path, monkeypatch):
    """One recipe, narrower; the others differ in the network, which tests/models/test_models.py covers."""
    monkeypatch.chdir(tmp_path)
    recipe = f"--flagfile={FOLDER}/re_map_cnn_smoke.flags"
    train_script(recipe, "--re_map_cnn.widths=8,8", "--workdir=run", "--export=run/out.safetensors")
    rows = logged(tmp_path / "run")
    assert rows[-1]["step"] == 4 and {"l1", "flow", "loss"} <= set(rows[-1])
    assert (tmp_path / "run" / "checkpoints" / "4").is_dir()
    params, settings, _ = weights.load(tmp_path / "run" / "out.safetensors", "re_map_cnn")
    assert params["params"] and settings["size"] == [64, 64]


def test_from_a_catalogue_of_files_to_a_trained_network(train_script, tmp_path, monkeypatch):
    """Catalogue -> data/build.py -> train.py --dataset=DIR, the way that a shop's own videos go."""
    pytest.importorskip("tensorflow_datasets")
    from vton_jax.catalogue import videos

    sys.path.insert(0, str(ROOT))
    from data import prepare
    from data.pose_and_dress import pose_and_dress, selection

    seed = next(s for s in range(1000) if selection.split_of(f"s{s}-p0000") == "train")
    settings = videos.Settings(seed=seed, seconds=2, frame_rate=4, size=(64, 48))
    list(videos.write(tmp_path / "catalogue", 1, 2, settings))
    prepare.build(pose_and_dress, tmp_path / "catalogue", tmp_path / "datasets")
    assert input_pipeline.find_dataset(tmp_path / "datasets")
    recipe = f"--flagfile={FOLDER}/triple_guided_cnn_none_smoke.flags"
    few = ("--dataset=datasets", "--size=64x48", "--num_steps=2", "--pictures_every=0", "--workdir=run")
    monkeypatch.chdir(tmp_path)
    train_script(recipe, *few, "--triple_guided_cnn.widths=8,8")
    assert logged(tmp_path / "run")[-1]["step"] == 2


def test_released_weights_keep_their_settings():
    """A recipe's task rebuilds the network of the released file: no default has moved since."""
    from vton_jax import tasks

    for path in weights.FOLDER.glob("*.safetensors"):
        _, settings, _ = weights.load(path)
        network = getattr(tasks.TASKS[settings["model"]](), settings["model"])
        for field in dataclasses.fields(network):
            if field.name in settings and field.name != "size":
                value = settings[field.name]
                assert getattr(network, field.name) == (tuple(value) if isinstance(value, list) else value)


def test_the_documents_give_the_results_that_the_recipes_state():
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", text.split("### Memory and results")[1].split("\n## ")[0], re.M)
    assert len(rows) > 10
    for name, result in rows:
        header = "\n".join(
            line for line in (FOLDER / f"{name}.flags").read_text(encoding="utf-8").splitlines() if line[:1] == "#"
        )
        wanted, stated = re.findall(r"\d+\.\d+", result), re.findall(r"\d+\.\d+", header)
        assert wanted and not set(wanted) - set(stated), name


def test_the_documents_name_what_exists():
    listed = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    assert not [name for name in RECIPES if f"`{name}`" not in listed]
    rooms = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    missing = [m for m in (ROOT / "vton_jax").glob("*.py") if m.stem != "__init__" and f"{m.name}`" not in rooms]
    assert not missing, f"docs/architecture.md has no room for {missing}"
