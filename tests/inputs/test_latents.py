"""What data/latents.py prepares, and how training reads it."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest

from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import input_pipeline

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def latents():
    """data/latents.py without its flags, which would meet those of other scripts in this process."""
    source = (ROOT / "data" / "latents.py").read_text(encoding="utf-8")
    kept = "\n".join(line for line in source.splitlines() if not line.startswith(("flags.", "FLAGS")))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("latents", None))
    module.__file__ = str(ROOT / "data" / "latents.py")
    exec(compile(kept, module.__file__, "exec"), module.__dict__)
    return module


def test_counts_are_the_shares_that_the_try_on_computes(latents):
    rng = np.random.default_rng(0)
    maps = rng.integers(0, segmentation.NUM_LABELS, (2, 3, 32, 24)).astype(np.uint8)
    maps[:, :, :8] = segmentation.UNKNOWN
    counts = latents.count_labels(maps, 8)
    assert counts.dtype == np.uint8 and counts.shape == (2, 3, 4, 3, 18) and not counts[:, :, 0].any()
    np.testing.assert_allclose(counts / 64, segmentation.soft_maps(maps.astype(np.int32), 8), atol=1e-6)


def test_preparing_goes_on_where_it_stopped(tmp_path):
    asked = []

    def chunk_of(number, stop_at=None):
        asked.append(number)
        if number == stop_at:
            raise KeyboardInterrupt
        return {"z": np.full((2, 1, 3), number)}

    folder = tmp_path / "new" / "examples"
    with pytest.raises(KeyboardInterrupt):
        input_pipeline.write_prepared(folder, range(5, 9), lambda number: chunk_of(number, stop_at=7))
    assert sorted(path.name for path in folder.iterdir()) == ["0005.npz", "0006.npz"]
    input_pipeline.write_prepared(folder, range(5, 9), chunk_of, compressed=True)
    assert asked == [5, 6, 7, 7, 8]
    batches = input_pipeline.prepared_batches(folder, 8, seed=0)
    assert sorted(next(batches)["z"][:, 0]) == [5, 5, 6, 6, 7, 7, 8, 8]
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="cannot"):
        input_pipeline.write_prepared(tmp_path / "file", range(1), chunk_of)


def test_prepared_files_become_batches_of_examples_and_mirror_images(tmp_path):
    for number in range(2):
        z = np.arange(12, dtype=np.float32).reshape(3, 2, 2) + 100 * number
        np.savez(tmp_path / f"{number:04d}.npz", z_user=z, coarse_maps=z.astype(np.uint8))
    (tmp_path / ".0002.7-9.npz").write_bytes(b"half a file")
    batches = input_pipeline.open_batches(str(tmp_path), 4, seed=0, size=(64, 64), draw="case_batch")
    seen = np.concatenate([next(batches)["z_user"] for _ in range(3)])
    wanted = np.concatenate([np.arange(12).reshape(6, 2) + 100 * n for n in range(2)])
    assert sorted(seen[:, 0]) == sorted(wanted[:, 0])  # every one of the twelve once
    with pytest.raises(UserError, match="latent_prior_cnn learns from"):
        input_pipeline.open_batches(str(tmp_path), 4, seed=0, size=(64, 64))
    (tmp_path / "0003.npz").write_bytes(b"half a file")
    with pytest.raises(UserError, match=r"0003\.npz is damaged"):
        input_pipeline.open_batches(str(tmp_path), 4, seed=0, size=(64, 64), draw="case_batch")


def test_examples_of_another_size_are_refused():
    from vton_jax.tasks.latent_prior import LatentPriorTask

    batch = {"coarse_maps": np.zeros((2, 8, 4, segmentation.NUM_LABELS), np.uint8)}
    LatentPriorTask(size=(64, 32)).init(jax.random.PRNGKey(0), batch)
    with pytest.raises(UserError, match="of 64x32, not of --size=64x64"):
        LatentPriorTask(size=(64, 64)).init(jax.random.PRNGKey(0), batch)
