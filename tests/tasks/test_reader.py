"""ReaderCNN's task, MultiPathCNN on the same pictures, and the perceptual term of what paints."""

import cached_example
import drawn_pictures
import jax
import numpy as np
import optax
import pytest
import tiny_lpips
from quick_kernels import quick_kernels

from vton_jax.core.errors import UserError
from vton_jax.inputs import reading_views
from vton_jax.models import reader_cnn, weights
from vton_jax.models.multi_path_cnn import MultiPathCNN
from vton_jax.models.triple_guided_cnn import TripleGuidedCNN
from vton_jax.tasks.multi_path import MultiPathTask
from vton_jax.tasks.reader import ReaderTask
from vton_jax.tasks.triple_guided import TripleGuidedTask
from vton_jax.training import train_state

SIZE = (64, 64)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    found = [drawn_pictures.person(), drawn_pictures.garment(), drawn_pictures.person(kind=0, sleeves=-1)]
    return drawn_pictures.write(tmp_path_factory.mktemp("pictures") / "some.npz", found)


@quick_kernels()
def test_a_network_learns_from_a_file_of_pictures(dataset, tmp_path):
    task = ReaderTask(
        reader_cnn.ReaderCNN(widths=(8, 12, 16), hidden=16), SIZE, export=str(tmp_path / "reader.safetensors")
    )
    batch = next(task.open_batches(dataset, 8, 0, SIZE, "validation"))
    params = task.init(jax.random.PRNGKey(0), batch)
    optimizer = optax.flatten(optax.adam(1e-2))  # all parameters together are compiled once
    step = jax.jit(train_state.make_train_step(task, optimizer))
    state, found = train_state.create(params, optimizer), []
    for _ in range(6):
        state, terms = step(state, {}, batch, jax.random.PRNGKey(1))
        found.append(float(terms["loss"]))
    assert terms["finite"] == 1 and set(reader_cnn.LOSS_WEIGHTS) <= set(terms)
    assert found[-1] < found[0] - 0.1
    sheet = task.pictures(params, {}, batch)["reading"]
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and np.ptp(sheet) > 100
    task.finish(params, {}, None, tmp_path)
    _, settings, _ = weights.load(task.export, "reader_cnn")
    assert settings["widths"] == [8, 12, 16] and settings["hidden"] == 16 and settings["size"] == [64, 64]


def test_what_it_cannot_learn_from_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="multiples of 32, for example 64x64"):
        ReaderTask(size=(64, 48))
    for name in ("missing.npz", "no folder"):
        with pytest.raises(UserError, match="neither a file of python"):
            ReaderTask.open_batches(str(tmp_path / name), 2, 0, SIZE, "train")


def test_multi_path_learns_from_the_people_among_the_pictures(dataset):
    """Their batch is the task's own: nothing is chosen from users, donors and outputs."""
    task = MultiPathTask(MultiPathCNN(size=SIZE), SIZE)
    shapes = task.open_batches(dataset, 2, 0, SIZE, "train").shapes()
    assert reading_views.are_pictures(dataset) and task._people(shapes) == shapes
    assert shapes["image"].shape == (2, *SIZE, 3) and shapes["visible"].dtype == bool
    params = jax.eval_shape(lambda: task.init(jax.random.PRNGKey(0), None))
    value, terms = jax.eval_shape(lambda p, b: task._loss(p, {}, b, None), params, shapes)
    assert value.shape == () and {"pose", "segmentation", "image"} & set(terms)


# --- the perceptual term ---------------------------------------------------------------------------------------------


def _painting(perceptual: str, weight: float = 0.1, **more) -> TripleGuidedTask:
    network = TripleGuidedCNN(widths=(8,))
    given = {"perceptual": perceptual, "perceptual_weight": weight} | more
    return TripleGuidedTask(network, size=(32, 32), arm="none", layouts="truth", **given)


def _cached_batch() -> dict:
    batch = {name: np.asarray(array)[:, 0] for name, array in cached_example.example(2).items() if name != "guides"}
    batch["guide"] = batch["output_segmentation"]
    batch |= {name: array[:, 0] for name, array in batch.items() if name.startswith("target_")}
    wider = lambda a: np.pad(a, [(0, 0), (0, 0), (0, 8), *[(0, 0)] * (a.ndim - 3)])  # noqa: E731
    return batch | {name: wider(a) for name, a in batch.items() if name.endswith(("_image", "_segmentation", "guide"))}


@quick_kernels()
def test_the_perceptual_distance_counts_with_its_weight(tmp_path):
    folder, batch = tiny_lpips.write_folder(tmp_path), _cached_batch()
    tasks = {"without": _painting("none"), "with": _painting(str(folder)), "more": _painting(str(folder), 0.3)}
    frozen, key = {name: task.frozen() for name, task in tasks.items()}, jax.random.PRNGKey(0)
    params = tasks["without"].init(key, batch)
    assert {name for name in tasks if "perceptual" in frozen[name]} == {"with", "more"}
    # One program, in which XLA finds what the three have in common.
    run = jax.jit(lambda p, f: {name: task._loss(p, f[name], batch, key) for name, task in tasks.items()})
    found = jax.device_get(run(params, frozen))
    value, terms = found["with"]
    assert "perceptual" not in found["without"][1] and terms["perceptual"] > 1e-3
    np.testing.assert_allclose(value, found["without"][0] + 0.1 * terms["perceptual"], rtol=1e-5)
    np.testing.assert_allclose(found["more"][0] - value, 0.2 * terms["perceptual"], rtol=1e-3)


@quick_kernels()
def test_a_discriminator_learns_beside_the_painter_where_it_is_asked_for():
    task, batch, key = _painting("none", adversarial_weight=0.1), _cached_batch(), jax.random.PRNGKey(0)
    assert _painting("none").modules == ("triple_guided_cnn",)
    assert task.modules == ("triple_guided_cnn", "discriminator")
    params = task.init(key, batch)
    assert set(params) == set(task.modules)
    plainly = _painting("none")

    @jax.jit
    def run(params):
        of = {names: jax.value_and_grad(loss, has_aux=True) for names, loss in task.losses().items()}
        return {names: one(params, {}, batch, key) for names, one in of.items()}, plainly._loss(params, {}, batch, key)

    found, (plain, terms) = jax.device_get(run(params))
    for names, ((_, told), gradients) in found.items():
        norms = {name: sum(np.abs(g).sum() for g in jax.tree.leaves(gradients[name])) for name in params}
        own = {name for name, norm in norms.items() if norm > 0}
        assert own == set(names), "each player learns from its own loss alone"
        assert all(np.isfinite(term) for term in told.values())
    (value, paid), _ = found[("triple_guided_cnn",)]
    wanted = plain + 0.1 * (paid["adversarial"] + 10 * paid["matching"])
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    assert set(paid) - set(terms) == {"adversarial", "matching"}


def test_asking_for_weights_that_are_not_there_is_a_sentence(monkeypatch, tmp_path):
    from vton_jax.models import lpips_weights

    monkeypatch.setattr(lpips_weights, "_installed", lambda: [])
    monkeypatch.delenv("VTON_JAX_PERCEPTUAL", raising=False)
    with pytest.raises(UserError, match="There are no weights of LPIPS"):
        _painting("auto").frozen()
    with pytest.raises(UserError):
        _painting(str(tmp_path / "missing")).frozen()
