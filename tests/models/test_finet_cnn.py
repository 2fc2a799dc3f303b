"""FiNet's losses beside slow references, and what its latents are tied to."""

import jax
import numpy as np
import pytest
from finet_people import drawn, people, tiny_tasks
from quick_kernels import quick_kernels

from vton_jax.models import finet_cnn, losses
from vton_jax.models.finet_cnn import Gaussian
from vton_jax.systems.finet import cases, variants
from vton_jax.tasks import finet

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def gaussian(seed: int, count: int = 3) -> Gaussian:
    generator = np.random.default_rng(seed)
    return Gaussian(*(generator.normal(0, 0.7, (count, 2)).astype(np.float32) for _ in range(2)))


def test_the_divergence_is_the_integral():
    q, p = gaussian(0), gaussian(1)
    z = np.linspace(-12, 12, 24001)[:, None, None]
    log = lambda g: -0.5 * ((z - g.mean) ** 2 * np.exp(-g.log_variance) + g.log_variance + np.log(2 * np.pi))  # noqa: E731
    wanted = np.trapezoid(np.exp(log(q)) * (log(q) - log(p)), z[:, 0, 0], axis=0)
    np.testing.assert_allclose(jax.jit(finet_cnn.divergence)(q, p), wanted, rtol=1e-3, atol=1e-4)


def test_samples_have_their_mean_and_spread():
    q = gaussian(2, 1)
    found = np.asarray(jax.jit(Gaussian.sample)(q, np.random.default_rng(0).normal(size=(20000, 2)).astype(np.float32)))
    np.testing.assert_allclose(found.mean(0), q.mean[0], atol=0.04)
    np.testing.assert_allclose(found.std(0), np.exp(0.5 * q.log_variance[0]), rtol=0.03)


def test_free_bits_spare_the_posterior_and_not_the_prior():
    q, p = gaussian(0), gaussian(1)
    for free, moves in ((0.0, True), (100.0, False)):
        pull = jax.grad(lambda pair, free=free: finet_cnn.pull(*pair, free)[0])
        of_q, of_p = jax.device_get(jax.jit(pull)((q, p)))
        assert of_q.mean.any() == moves and of_p.mean.any()
    both = jax.jit(lambda q, p: (finet_cnn.pull(q, p, 0.0), finet_cnn.divergence(q, p)))
    (value, kl), nats = jax.device_get(both(q, p))
    wanted = nats.mean(0).sum()
    np.testing.assert_allclose([value, kl], [2 * wanted, wanted], rtol=1e-5)


def test_the_losses_count_the_region_alone():
    generator = np.random.default_rng(0)
    logits, classes = generator.normal(size=(2, 6, 5, 8)), generator.integers(0, 8, (2, 6, 5))
    mask = generator.random((2, 6, 5)) < 0.4
    wanted = [-(logits[i] - np.log(np.exp(logits[i]).sum()))[classes[i]] for i in zip(*np.nonzero(mask), strict=True)]
    found = jax.jit(finet_cnn.shape_loss)(logits.astype(np.float32), classes, mask)
    np.testing.assert_allclose(found["cross_entropy"], np.mean(wanted), rtol=1e-5)
    painted, truth = generator.random((2, 2, 6, 5, 3)).astype(np.float32)
    worn = mask & (generator.random(mask.shape) < 0.5)
    found = jax.jit(finet_cnn.appearance_loss)(painted, truth, mask, worn)
    error = np.abs(painted - truth)
    np.testing.assert_allclose(found["l1"], error[mask].mean(), rtol=1e-5)
    np.testing.assert_allclose(found["garment"], error[worn].mean(), rtol=1e-5)
    left = (painted - truth) * mask[..., None]
    detail = sum(abs(left[b, y + dy, x + dx] - left[b, y, x]).sum() for dy, dx in ((0, 1), (1, 0))
                 for b in range(2) for y in range(6 - dy) for x in range(5 - dx))  # fmt: skip
    np.testing.assert_allclose(found["detail"], detail / (3 * mask.sum()), rtol=1e-4)


def test_style_is_the_difference_of_gram_matrices():
    generator = np.random.default_rng(0)
    a, b = generator.random((2, 1, 3, 4, 2)).astype(np.float32)
    gram = lambda maps: np.array([[np.mean(maps[..., i] * maps[..., j]) / 2 for j in range(2)] for i in range(2)])  # noqa: E731
    np.testing.assert_allclose(jax.jit(losses.gram)(a)[0], gram(a), rtol=1e-5)
    style = jax.jit(losses.style)
    found = style([a], [b], [2.0])
    np.testing.assert_allclose(found, 2 * np.abs(gram(a) - gram(b)).mean(), rtol=1e-4)
    shuffled = a.reshape(1, -1, 2)[:, ::-1].reshape(a.shape)  # where things are says nothing of a style
    assert float(style([a], [shuffled], [1.0])) < 1e-6


@pytest.fixture(scope="module")
def case():
    return jax.device_get(jax.jit(finet.draw_cases)(people(4), jax.random.PRNGKey(0)))


def test_latents_matter_and_priors_know_the_context(case):
    """What is filled in follows z, the posterior the garment, the prior the garments around it and not that one."""
    for stage, task in tiny_tasks().items():
        params = drawn(task)[f"finet_{stage}"]

        def run(params, case, z, task=task):
            told = tuple(of(task._stage, params, case).mean for of in (cases.posterior, cases.prior))
            return *told, cases.fill(task._stage, params, case, z)

        run = jax.jit(run, compiler_options=QUICK)
        z = np.zeros((4, 8), np.float32)
        q, p, filled = jax.device_get(run(params, case, z))
        assert np.abs(run(params, case, z + 1)[2] - filled)[case.mask].max() > 1e-4
        others = case.image * case.garment[..., None]
        q_other, p_other, _ = jax.device_get(run(params, case.replace(image=others), z))
        own = np.where(case.garment[..., None], np.float32(0.5), case.image)
        q_own, p_own, _ = jax.device_get(run(params, case.replace(image=own), z))
        np.testing.assert_allclose(p_own, p, atol=1e-5)
        assert np.abs(p_other - p).max() > 1e-4
        if stage == "appearance":
            np.testing.assert_allclose(q_other, q, atol=1e-4)
            assert np.abs(q_own - q).max() > 1e-4


def test_gradients_reach_encoder_prior_and_painter():
    batch = people(4)
    for stage, task in tiny_tasks().items():
        value = jax.grad(lambda p, task=task: task._loss(p, {}, batch, jax.random.PRNGKey(1)), has_aux=True)
        gradient, terms = jax.device_get(jax.jit(value, compiler_options=QUICK)(drawn(task)))
        assert {"kl", "sketch"} < set(terms) and terms["kl"] > 0
        for name, part in gradient[f"finet_{stage}"]["params"].items():
            largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(part))
            assert np.isfinite(largest) and largest > 0, (stage, name)


@quick_kernels()
def test_every_variant_is_a_network_of_its_own(monkeypatch, case):
    """Their parameters differ as their settings say; each fills a region."""
    monkeypatch.setattr(finet, "draw_cases", lambda batch, key: case)  # is the same for all
    seen = {}
    for name in variants.VARIANTS:
        variant, found = variants.variant_of(name), []
        for stage, task in tiny_tasks(name).items():
            params = jax.eval_shape(lambda task=task: task.init(jax.random.PRNGKey(0), {}))[f"finet_{stage}"]["params"]
            latent = cases.has_latent(stage, variant)
            assert ("encoder" in params) == (variant.encoder and latent), (name, stage)
            assert ("compatibility" in params) == (variant.prior != "normal" and latent), (name, stage)
            value, terms = jax.eval_shape(
                lambda p, task=task: task._loss({task.modules[0]: {"params": p}}, {}, {}, jax.random.PRNGKey(0)),
                params,
            )
            assert value.shape == () and ("regression" in terms) == variant.latent_regression
            found.append((stage, str(jax.tree.map(lambda a: a.shape, params)), *sorted(terms)))
        seen[name] = tuple(found)
    assert len(set(seen.values())) == len(seen)
