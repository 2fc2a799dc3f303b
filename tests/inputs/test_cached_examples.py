"""Cached examples: what is written, what is read again, and the batches."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from cached_example import H, W, example

from vton_jax.core import geometry, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import cached_examples, input_pipeline
from vton_jax.models import latent_prior_cnn
from vton_jax.tasks.latent_prior import LatentPriorTask


def turned(labels, flipped):
    return segmentation.mirror(labels) if flipped else labels


@pytest.fixture
def folder(tmp_path):
    for number in range(20):
        np.savez(tmp_path / f"{number:04d}.npz", **example(2, number))
    return tmp_path


def test_a_batch_draws_target_layouts_and_mirror_images_and_keeps_them_consistent(folder, monkeypatch):
    monkeypatch.setattr(cached_examples, "recoloured", lambda example, generator: example)
    batches = cached_examples.open_layouts(folder, 19, 0, (H, W), "train")
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
            np.testing.assert_array_equal(batch["flow"][i], turn(source["flow"][k, 0]) * sign)
            np.testing.assert_array_equal(batch["flow_visible"][i], turn(source["flow_visible"][k, 0]))
            np.testing.assert_array_equal(batch["output_image"][i], turn(source["output_image"][k, 0]))
            assert batch["target_visible"][i].sum() == source["target_visible"][k, 0, which].sum()
    assert min(seen.values()) > 10


def test_mirroring_commutes_with_warping():
    one = {n: a[0, 0] for n, a in example(1).items()} | {"guide": example(1)["guides"][0, 0, 0]}
    one["flow"] = one["flow"].astype(np.float32)
    other = cached_examples.mirror(one)
    small = one["dress_image"][::4, ::4].astype(np.float32)
    there = np.asarray(geometry.warp(small[:, ::-1], other["flow"]))
    np.testing.assert_allclose(there, np.asarray(geometry.warp(small, one["flow"]))[:, ::-1], atol=1e-2)
    again = cached_examples.mirror(other)
    for name in ("guide", "output_image", "flow", "flow_visible", "donor_visible"):
        np.testing.assert_array_equal(again[name], one[name])


def test_the_twentieth_file_is_held_out(folder):
    held_out = next(cached_examples.open_layouts(folder, 2, 0, (H, W), "validation"))
    wanted = example(2, 19)["output_segmentation"][:, 0]
    for labels in held_out["output_segmentation"]:
        assert any((labels == w).all() or (labels == segmentation.mirror(w)).all() for w in wanted)


def test_other_folders_die_in_a_sentence(folder, tmp_path):
    with pytest.raises(UserError, match=r"vton_jax\.cache_examples --kind=layouts"):
        cached_examples.open_layouts(tmp_path / "nothing", 2, 0, (H, W), "train")
    with pytest.raises(UserError, match="is of 32x24, not of --size"):
        cached_examples.open_layouts(folder, 2, 0, (64, 48), "train")
    for path in folder.glob("*.npz"):
        np.savez(path, z_user=np.zeros((2, 2, 3)))
    with pytest.raises(UserError, match="holds other examples"):
        cached_examples.open_layouts(folder, 2, 0, (H, W), "train")


def test_shapes_are_known_without_files(folder):
    """benchmarks/compile_for_pods.py compiles recipes whose examples are not at hand."""
    kinds = lambda batch: {name: (a.shape, np.dtype(a.dtype)) for name, a in batch.items()}  # noqa: E731
    batch = next(cached_examples.open_layouts(folder, 19, 0, (H, W), "train"))
    assert kinds(cached_examples.layout_batch(19, (H, W))) == kinds(batch)


def test_a_worn_dress_is_read(folder):
    """It was refused once, and with it all that the catalogue gives today."""
    one = example(2, 3)
    one["garment_type"][1], one["donor_flat"][1] = segmentation.GARMENT_TYPES.index("dress"), False
    np.savez(folder / "0003.npz", **one)
    batch = next(cached_examples.open_layouts(folder, 38, 0, (H, W), "train"))
    assert (batch["garment_type"] == segmentation.GARMENT_TYPES.index("dress")).sum() == 1


# --- other colours ---------------------------------------------------------------------------------------------------


def _plain() -> dict:
    """An example whose user wears a plain top: black, white, grey beside it, so that any change of colour shows."""
    labels = np.zeros((H, W), np.uint8)
    labels[8:24, 6:18] = segmentation.ID["upper-clothes"]
    colour = np.uint8([200, 120, 60])
    picture = np.full((H, W, 3), 128, np.uint8)
    picture[:, :2], picture[:, -2:] = 0, 255
    output, dress = picture.copy(), np.full((H, W, 3), 255, np.uint8)
    output[labels > 0], dress[labels > 0] = colour, colour
    return {
        "input_image": picture, "output_image": output, "dress_image": dress, "output_segmentation": labels,
        "garment_type": np.int32(segmentation.GARMENT_TYPES.index("upper")), "flow": np.zeros((8, 6, 2), np.float16),
    }  # fmt: skip


def test_a_dyed_garment_is_the_same_alone_and_worn_and_all_else_keeps_its_light(monkeypatch):
    monkeypatch.setattr(cached_examples, "RECOLOURED_FRACTION", 1.0)
    plain, inside, outside = _plain(), np.s_[10:22, 8:16], np.s_[:, :4]
    hues = []
    for seed in range(8):
        found = cached_examples.recoloured(plain, np.random.default_rng(seed))
        np.testing.assert_allclose(found["output_image"][inside].astype(int), found["dress_image"][inside], atol=1)
        np.testing.assert_array_equal(found["output_image"][outside], found["input_image"][outside])
        assert (
            not found["input_image"][:, :2].any() and (found["dress_image"][plain["dress_image"] == 255] == 255).all()
        )
        for name in ("output_segmentation", "flow"):
            np.testing.assert_array_equal(found[name], plain[name])
        hues.append(found["dress_image"][16, 12].astype(int))
    assert np.ptp(hues, 0).min() > 20


def test_some_garments_keep_their_colour_and_those_held_out_all_do(monkeypatch, folder):
    monkeypatch.setattr(cached_examples, "RECOLOURED_FRACTION", 0.0)
    found = cached_examples.recoloured(_plain(), np.random.default_rng(0))
    light = found["output_image"][4, 12].astype(float), found["input_image"][4, 12]
    np.testing.assert_array_equal(*light)
    batch = next(cached_examples.open_layouts(folder, 2, 0, (H, W), "validation"))
    wanted = example(2, 19)["input_image"][:, 0]
    for image in batch["input_image"]:
        assert any((image == w).all() or (image == w[:, ::-1]).all() for w in wanted)


# --- coarse ----------------------------------------------------------------------------------------------------------


def coarse_examples(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    maps = lambda *side: rng.integers(0, segmentation.NUM_LABELS, (count, 1, *side)).astype(np.uint8)  # noqa: E731
    found = {"coarse": maps(H, W), "truth": maps(H, W), "garment_type": np.zeros((count, 1), np.int32)}
    found |= {f"{who}_labels": maps(H // 2, W // 2) for who in ("user", "pose", "dress")}
    for who in ("pose", "dress"):
        seen = rng.random((count, 1, 18)) < 0.7
        found[f"{who}_visible"] = seen
        places = rng.random((count, 1, 18, 2)).astype(np.float32) * (W - 1)
        found[f"{who}_keypoints"] = np.where(seen[..., None], places, 0)
    found["coarse"][:, :, :4] = segmentation.UNKNOWN
    return found


def test_coarse_examples_are_mirrored_as_a_whole(tmp_path):
    arrays = coarse_examples(6)
    for number in range(2):
        np.savez(tmp_path / f"{number:04d}.npz", **arrays)
    batch = next(cached_examples.open_coarse(tmp_path, 12, 0, (H, W), "train"))
    plain = {name: array[:, 0] for name, array in arrays.items()}
    mirrored, kinds = cached_examples.mirror_coarse(plain), set()
    wanted = cached_examples.coarse_batch(12, (H, W))
    assert {n: (a.shape, a.dtype) for n, a in batch.items()} == {n: (a.shape, a.dtype) for n, a in wanted.items()}
    for row in range(12):
        one = {name: array[row] for name, array in batch.items()}
        same = [(kind, i) for kind, source in (("plain", plain), ("mirrored", mirrored)) for i in range(6)
                if all(np.allclose(one[name], source[name][i]) for name in one)]  # fmt: skip
        assert len(same) == 1
        kinds.add(same[0][0])
    assert kinds == {"plain", "mirrored"}
    # What is a left arm, and where the left wrist is, goes together.
    again = cached_examples.mirror_coarse(mirrored)
    for name, array in plain.items():
        np.testing.assert_allclose(again[name], array, atol=1e-4)
    np.testing.assert_array_equal(mirrored["coarse"], segmentation.mirror(plain["coarse"]))


def test_other_folders_than_of_coarse_maps_die_in_a_sentence(folder, tmp_path):
    with pytest.raises(UserError, match=r"holds other examples than those of .* --kind=coarse"):
        cached_examples.open_coarse(folder, 2, 0, (H, W), "train")
    (tmp_path / "here").mkdir()
    with pytest.raises(UserError, match=r"make them with .* --kind=coarse"):
        cached_examples.open_coarse(tmp_path / "here", 2, 0, (H, W), "train")
    np.savez(tmp_path / "here" / "0000.npz", **coarse_examples(2))
    with pytest.raises(UserError, match="is of 32x24, not of --size"):
        cached_examples.open_coarse(tmp_path / "here", 2, 0, (64, 48), "train")


# --- latents ---------------------------------------------------------------------------------------------------------


def test_counts_are_the_fractions_that_the_try_on_computes():
    assert cached_examples.BLOCK == latent_prior_cnn.BLOCK
    rng = np.random.default_rng(0)
    maps = rng.integers(0, segmentation.NUM_LABELS, (2, 3, 32, 24)).astype(np.uint8)
    maps[:, :, :8] = segmentation.UNKNOWN
    counts = cached_examples.count_labels(maps, 8)
    assert counts.dtype == np.uint8 and counts.shape == (2, 3, 4, 3, 18) and not counts[:, :, 0].any()
    np.testing.assert_allclose(counts / 64, segmentation.soft_maps(maps.astype(np.int32), 8), atol=1e-6)


def test_packed_latents_are_batches(tmp_path):
    rng = np.random.default_rng(1)
    latents, mirrored = ({f"z_{n}": rng.random((3, 5), np.float32) for n in ("user", "pose", "output")} for _ in "ab")
    coarse, truth = rng.integers(0, segmentation.NUM_LABELS, (2, 3, 32, 24)).astype(np.uint8)
    arrays = cached_examples.pack_latents(latents, mirrored, coarse, truth)
    cached_examples.write(tmp_path, range(1), lambda number: arrays, compressed=True)
    batch = next(cached_examples.open_latents(tmp_path, 6, seed=0))
    for name, wanted in cached_examples.latent_batch(6, (32, 24), 5).items():
        assert (batch[name].shape, batch[name].dtype) == (wanted.shape, wanted.dtype)
    places = {z.tobytes(): i for i, z in enumerate([*latents["z_user"], *mirrored["z_user"]])}
    for z, labels in zip(batch["z_user"], batch["output_segmentation"], strict=True):
        turn, one = divmod(places[z.tobytes()], 3)
        np.testing.assert_array_equal(labels, turned(truth[one], turn))


def test_writing_goes_on_where_it_stopped(tmp_path):
    asked = []

    def make(number, stop_at=None):
        asked.append(number)
        if number == stop_at:
            raise KeyboardInterrupt
        return {"z": np.full((2, 1, 3), number)}

    folder = tmp_path / "new" / "examples"
    with pytest.raises(KeyboardInterrupt):
        cached_examples.write(folder, range(5, 9), lambda number: make(number, stop_at=7), compressed=False)
    assert sorted(path.name for path in folder.iterdir()) == ["0005.npz", "0006.npz"]
    cached_examples.write(folder, range(5, 9), make, compressed=True)
    assert asked == [5, 6, 7, 7, 8]
    batches = cached_examples.open_latents(folder, 8, seed=0)
    assert sorted(next(batches)["z"][:, 0]) == [5, 5, 6, 6, 7, 7, 8, 8]
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="cannot"):
        cached_examples.write(tmp_path / "file", range(1), make, compressed=False)


def test_files_become_batches_of_examples_and_mirror_images(tmp_path):
    for number in range(2):
        z = np.arange(12, dtype=np.float32).reshape(3, 2, 2) + 100 * number
        np.savez(tmp_path / f"{number:04d}.npz", z_user=z, coarse_maps=z.astype(np.uint8))
    (tmp_path / ".0002.7-9.npz").write_bytes(b"half a file")
    task = LatentPriorTask(size=(64, 64))
    batches = task.open_batches(str(tmp_path), 4, 0, (64, 64), "train")
    seen = np.concatenate([next(batches)["z_user"] for _ in range(3)])
    wanted = np.concatenate([np.arange(12).reshape(6, 2) + 100 * n for n in range(2)])
    assert sorted(seen[:, 0]) == sorted(wanted[:, 0])  # every one of the twelve once
    with pytest.raises(UserError, match="other networks learn"):
        input_pipeline.open_batches(str(tmp_path), 4, seed=0, size=(64, 64))
    (tmp_path / "0003.npz").write_bytes(b"half a file")
    with pytest.raises(UserError, match=r"0003\.npz is damaged"):
        task.open_batches(str(tmp_path), 4, 0, (64, 64), "train")


def test_examples_of_another_size_are_refused():
    batch = {"coarse_maps": np.zeros((2, 8, 4, segmentation.NUM_LABELS), np.uint8)}
    LatentPriorTask(size=(64, 32)).init(jax.random.PRNGKey(0), batch)
    with pytest.raises(UserError, match="of 64x32, not of --size=64x64"):
        LatentPriorTask(size=(64, 64)).init(jax.random.PRNGKey(0), batch)


def test_the_command_asks_for_what_it_needs(tmp_path):
    root = Path(__file__).resolve().parents[2]
    for arguments, said in (
        ((), "Give --kind=layouts"),
        (("--kind=latents", f"--photos={tmp_path}"), "--kind=layouts alone"),
    ):
        command = [sys.executable, "-m", "vton_jax.cache_examples", f"--output={tmp_path}", *arguments]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
        assert done.returncode == 2 and said in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
