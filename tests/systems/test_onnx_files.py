"""Networks as ONNX files say what ours say, and nothing that says otherwise is written."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from vton_jax.core.errors import UserError
from vton_jax.models import layers
from vton_jax.systems.job import TryOnJob
from vton_jax.systems.lab126 import networks, onnx_files

ROOT = Path(__file__).resolve().parents[2]


def test_networks_take_and_give_what_they_say():
    found = list(networks.load())
    assert [network.name for network in found] == list(networks.NAMES)
    for network in found:
        inputs = network.draw(1)
        assert [one.shape for one in inputs] == [(1, *one.shape) for one in network.inputs]
        assert jax.eval_shape(network.function, *inputs).keys() == network.outputs.keys()


def test_the_arm_is_that_of_a_try_on():
    assert TryOnJob().options.remap == networks.ARM


def test_other_shapes_and_numbers_that_are_none_are_differences():
    ours = {"a": np.array([[1.0, 2.0]]), "b": np.zeros((1, 2))}
    assert onnx_files.differences(ours, {"a": np.array([[1.0, 2.5]]), "b": ours["b"]}) == {"a": 0.5, "b": 0.0}
    assert onnx_files.differences(ours, {"a": ours["a"][0], "b": np.array([[0, np.nan]])}) == dict.fromkeys(
        "ab", np.inf
    )


def test_a_mistake_is_one_sentence_with_its_mend(command, capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    (tmp_path / "file").touch()
    for arguments, mend in (
        ([f"--output={tmp_path / 'out'}"], "pip install 'vton-jax[onnx]'"),
        ([], "Give --output=DIR"),
        ([f"--output={tmp_path / 'out'}", "--format=tflite"], "<onnx>"),
    ):
        with pytest.raises(SystemExit) as stopped:
            command("vton_jax.export", *arguments)
        said = capsys.readouterr().err
        assert stopped.value.code == 2 and mend in said and said.count("\n") == 1, said
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(folder, card) of the quickest network and of the one that the page runs, exported."""
    pytest.importorskip("jax2onnx")
    folder = tmp_path_factory.mktemp("onnx")
    list(onnx_files.export(folder, names=("latent_prior_cnn", "reader_cnn"), timed=True))
    return folder, json.loads((folder / "networks.json").read_text())


def test_a_file_says_what_the_network_says(written):
    folder, card = written
    data = (folder / "latent_prior_cnn.onnx").read_bytes()
    one, _ = card["networks"]
    assert one["sha256"] == hashlib.sha256(data).hexdigest() and one["bytes"] == len(data)
    (network,) = networks.load(("latent_prior_cnn",))
    inputs = network.draw(3)
    given = {entry["name"]: value for entry, value in zip(one["inputs"], inputs, strict=True)}
    session = onnx_files.session_of(data)
    names = [output.name for output in session.get_outputs()]
    theirs = dict(zip(names, session.run(names, given), strict=True))
    for name, ours in network.function(*inputs).items():
        assert np.abs(theirs[name] - ours).max() < 1e-4 < np.std(ours)
    assert {entry["name"]: ["batch", *theirs[entry["name"]].shape[1:]] for entry in one["outputs"]} == {
        entry["name"]: entry["shape"] for entry in one["outputs"]
    }
    assert set(session.get_modelmeta().custom_metadata_map["labels"].split(",")) == set(card["labels"])
    assert one["sha256"] in (folder / "README.md").read_text()
    assert all(one["milliseconds"][by] > 0 for by in ("onnxruntime", "jax")) and "MB" in onnx_files.line(one)


def test_convolutions_of_ours_are_converted():
    """`layers.doubled`, in whose place jax2onnx would put Flax's own convolution."""
    pytest.importorskip("jax2onnx")
    block, x = layers.ConvBlock(8, doubled=True), np.random.default_rng(0).normal(size=(2, 4, 4, 8)).astype(np.float32)
    params = block.init(jax.random.key(0), x)
    inputs = (networks.Array("x", x.shape[1:], "", lambda *_: x),)
    small = networks.Network("small", Path(), lambda x: {"y": block.apply(params, x)}, inputs, {"y": ""})
    theirs = onnx_files.run(onnx_files.session_of(onnx_files.to_onnx(small)), [x])
    assert theirs["y"].shape == (2, 8, 8, 8)
    assert onnx_files.differences({"y": np.asarray(block.apply(params, x))}, theirs)["y"] < 1e-4


def test_what_differs_is_not_written(written, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_files, "MOST_DIFFERENCE", 0.0)
    with pytest.raises(UserError, match=r"latent_prior_cnn\.onnx would differ by .*nothing was written"):
        list(onnx_files.export(tmp_path / "out", names=("latent_prior_cnn",)))
    assert not list((tmp_path / "out").iterdir())


def test_the_page_s_example_runs(written):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.DOTALL)
    assert example.count("out/onnx") == 2 and "jax" not in example.replace("vton_jax", "")
    code = example.replace("out/onnx", str(written[0]))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("person\n") and "upper-clothes" in done.stdout, done.stderr
