"""What data/guides.py prepared, as batches."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cached_example import H, W, example

from vton_jax.core import geometry, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import cached_examples


def turned(labels, flipped):
    return segmentation.mirror(labels) if flipped else labels


@pytest.fixture
def folder(tmp_path):
    for number in range(20):
        np.savez(tmp_path / f"{number:04d}.npz", **example(2, number))
    return tmp_path


def test_a_batch_draws_guides_and_mirror_images_and_keeps_them_consistent(folder):
    batches = cached_examples.open_batches(folder, 19, 0, (H, W), "train")
    wanted = [example(2, number) for number in range(19)]
    seen = {"plain": 0, "mirrored": 0, 0: 0, 1: 0}
    for _ in range(4):
        batch = next(batches)
        for i in range(19):
            shown = batch["guide"][i]
            found = [
                (number, k, which, flipped)
                for number, part in enumerate(wanted)
                for k in range(2)
                for which in range(2)
                for flipped in (False, True)
                if (shown == turned(part["guides"][k, 0, which], flipped)).all()
            ]
            ((number, k, which, flipped),) = found
            source = wanted[number]
            seen[which] += 1
            seen["mirrored" if flipped else "plain"] += 1
            turn = (lambda a: a[:, ::-1]) if flipped else (lambda a: a)
            sign = np.array([-1, 1]) if flipped else 1
            np.testing.assert_array_equal(batch["mask"][i], turn(source["mask"][k, 0, which]))
            np.testing.assert_array_equal(batch["coarse_flow"][i], turn(source["coarse_flow"][k, 0, which]) * sign)
            np.testing.assert_array_equal(batch["flow_visible"][i], turn(source["flow_visible"][k, 0]))
            np.testing.assert_array_equal(batch["output_image"][i], turn(source["output_image"][k, 0]))
            assert batch["target_visible"][i].sum() == source["target_visible"][k, 0, which].sum()
    assert min(seen.values()) > 10


def test_mirroring_commutes_with_warping():
    one = {n: a[0, 0] for n, a in example(1).items()} | {"guide": example(1)["guides"][0, 0, 0]}
    one["coarse_flow"] = one["coarse_flow"][0].astype(np.float32)
    other = cached_examples.mirror(one)
    small = one["dress_image"][::4, ::4].astype(np.float32)
    there = np.asarray(geometry.warp(small[:, ::-1], other["coarse_flow"]))
    np.testing.assert_allclose(there, np.asarray(geometry.warp(small, one["coarse_flow"]))[:, ::-1], atol=1e-2)
    again = cached_examples.mirror(other)
    for name in ("guide", "output_image", "coarse_flow", "flow_visible", "donor_visible"):
        np.testing.assert_array_equal(again[name], one[name])


def test_the_twentieth_file_is_held_out(folder):
    held_out = next(cached_examples.open_batches(folder, 2, 0, (H, W), "validation"))
    wanted = example(2, 19)["output_segmentation"][:, 0]
    for labels in held_out["output_segmentation"]:
        assert any((labels == w).all() or (labels == segmentation.mirror(w)).all() for w in wanted)


def test_other_folders_die_in_a_sentence(folder, tmp_path):
    with pytest.raises(UserError, match=r"data/guides\.py"):
        cached_examples.open_batches(tmp_path / "nothing", 2, 0, (H, W), "train")
    with pytest.raises(UserError, match="is of 32x24, not of --size"):
        cached_examples.open_batches(folder, 2, 0, (64, 48), "train")
    for path in folder.glob("*.npz"):
        np.savez(path, z_user=np.zeros((2, 2, 3)))
    with pytest.raises(UserError, match="holds other examples"):
        cached_examples.open_batches(folder, 2, 0, (H, W), "train")


def test_the_compiler_is_told_the_shapes_of_such_a_batch(folder):
    """benchmarks/compile_for_pods.py compiles recipes whose examples are not at hand."""
    program = (
        "import json; from benchmarks import compile_for_pods\n"
        f"shapes = compile_for_pods.prepared_guides(19, {(H, W)})\n"
        "print(json.dumps({name: [s.shape, s.dtype.name] for name, s in shapes.items()}))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    batch = next(cached_examples.open_batches(folder, 19, 0, (H, W), "train"))
    assert json.loads(done.stdout) == {name: [list(a.shape), a.dtype.name] for name, a in batch.items()}
