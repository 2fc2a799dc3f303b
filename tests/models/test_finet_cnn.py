"""FiNet's losses beside slow references, and what its latents are tied to."""

import jax
import jax.numpy as jnp
import numpy as np
from finet_people import people, tiny_tasks
from quick_kernels import quick_kernels

from vton_jax.models import finet_cnn, losses
from vton_jax.models.finet_cnn import Gaussian
from vton_jax.systems.finet import cases, variants
from vton_jax.tasks import finet

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def gaussian(seed: int, count: int = 3) -> Gaussian:
    generator = np.random.default_rng(seed)
    return Gaussian(*(jnp.asarray(generator.normal(0, 0.7, (count, 2)), jnp.float32) for _ in range(2)))


def test_the_divergence_is_the_integral():
    q, p = gaussian(0), gaussian(1)
    z = np.linspace(-12, 12, 24001)[:, None, None]
    log = lambda g: -0.5 * ((z - g.mean) ** 2 * np.exp(-g.log_variance) + g.log_variance + np.log(2 * np.pi))  # noqa: E731
    wanted = np.trapezoid(np.exp(log(q)) * (log(q) - log(p)), z[:, 0, 0], axis=0)
    np.testing.assert_allclose(finet_cnn.divergence(q, p), wanted, rtol=1e-3, atol=1e-4)


def test_samples_have_their_mean_and_spread():
    q = gaussian(2, 1)
    drawn = q.sample(jax.random.normal(jax.random.PRNGKey(0), (20000, 2)))
    np.testing.assert_allclose(drawn.mean(0), q.mean[0], atol=0.04)
    np.testing.assert_allclose(drawn.std(0), np.exp(0.5 * q.log_variance[0]), rtol=0.03)


def test_free_bits_spare_the_posterior_and_not_the_prior():
    q, p = gaussian(0), gaussian(1)
    for free, moves in ((0.0, True), (100.0, False)):
        of_q, of_p = jax.grad(lambda pair, free=free: finet_cnn.pull(*pair, free)[0])((q, p))
        assert bool(jnp.abs(of_q.mean).max() > 0) == moves and jnp.abs(of_p.mean).max() > 0
    value, kl = finet_cnn.pull(q, p, 0.0)
    wanted = float(finet_cnn.divergence(q, p).mean(0).sum())
    np.testing.assert_allclose([value, kl], [2 * wanted, wanted], rtol=1e-5)


def test_the_losses_count_the_region_alone():
    generator = np.random.default_rng(0)
    logits, classes = generator.normal(size=(2, 6, 5, 8)), generator.integers(0, 8, (2, 6, 5))
    mask = generator.random((2, 6, 5)) < 0.4
    wanted = [-(logits[i] - np.log(np.exp(logits[i]).sum()))[classes[i]] for i in zip(*np.nonzero(mask), strict=True)]
    found = finet_cnn.shape_loss(jnp.asarray(logits, jnp.float32), jnp.asarray(classes), jnp.asarray(mask))
    np.testing.assert_allclose(found["cross_entropy"], np.mean(wanted), rtol=1e-5)
    painted, truth = generator.random((2, 2, 6, 5, 3)).astype(np.float32)
    worn = mask & (generator.random(mask.shape) < 0.5)
    found = finet_cnn.appearance_loss(*map(jnp.asarray, (painted, truth, mask, worn)))
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
    np.testing.assert_allclose(losses.gram(jnp.asarray(a))[0], gram(a), rtol=1e-5)
    found = losses.style([jnp.asarray(a)], [jnp.asarray(b)], [2.0])
    np.testing.assert_allclose(found, 2 * np.abs(gram(a) - gram(b)).mean(), rtol=1e-4)
    shuffled = a.reshape(1, -1, 2)[:, ::-1].reshape(a.shape)  # where things are says nothing of a style
    assert float(losses.style([jnp.asarray(a)], [jnp.asarray(shuffled)], [1.0])) < 1e-6


def test_latents_matter_and_priors_know_the_context():
    """What is filled in follows z, the posterior the garment, the prior the garments around it and not that one."""
    batch = people(4)
    with quick_kernels():
        for stage, task in tiny_tasks().items():
            params = task.init(jax.random.PRNGKey(0), {})[f"finet_{stage}"]
            case = finet.draw_cases(batch, jax.random.PRNGKey(0))

            def run(params, case, z, task=task):
                told = tuple(of(task._stage, params, case).mean for of in (cases.posterior, cases.prior))
                return *told, cases.fill(task._stage, params, case, z)

            run = jax.jit(run, compiler_options=QUICK)
            z = jnp.zeros((4, 8))
            q, p, filled = run(params, case, z)
            assert np.abs(run(params, case, z + 1)[2] - filled)[np.asarray(case.mask)].max() > 1e-4
            others = case.image * case.garment[..., None]
            q_other, p_other, _ = run(params, case.replace(image=others), z)
            own = jnp.where(case.garment[..., None], 0.5, case.image)
            q_own, p_own, _ = run(params, case.replace(image=own), z)
            np.testing.assert_allclose(p_own, p, atol=1e-5)
            assert np.abs(p_other - p).max() > 1e-4
            if stage == "appearance":
                np.testing.assert_allclose(q_other, q, atol=1e-4)
                assert np.abs(q_own - q).max() > 1e-4


def test_gradients_reach_encoder_prior_and_painter():
    batch = people(4)
    with quick_kernels():
        for stage, task in tiny_tasks().items():
            params = task.init(jax.random.PRNGKey(0), {})
            value = jax.grad(lambda p, task=task: task._loss(p, {}, batch, jax.random.PRNGKey(1)), has_aux=True)
            gradient, terms = jax.jit(value, compiler_options=QUICK)(params)
            assert {"kl", "sketch"} < set(terms) and terms["kl"] > 0
            for name, part in gradient[f"finet_{stage}"]["params"].items():
                largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(part))
                assert np.isfinite(largest) and largest > 0, (stage, name)


def test_every_variant_is_a_network_of_its_own():
    """Their parameters differ as their settings say; each fills a region."""
    batch, seen = people(2), {}
    for name in variants.VARIANTS:
        variant, found = variants.variant_of(name), []
        for stage, task in tiny_tasks(name).items():
            params = jax.eval_shape(lambda task=task: task.init(jax.random.PRNGKey(0), {}))[f"finet_{stage}"]["params"]
            latent = cases.has_latent(stage, variant)
            assert ("encoder" in params) == (variant.encoder and latent), (name, stage)
            assert ("compatibility" in params) == (variant.prior != "normal" and latent), (name, stage)
            value, terms = jax.eval_shape(
                lambda p, task=task: task._loss({task.modules[0]: {"params": p}}, {}, batch, jax.random.PRNGKey(0)),
                params,
            )
            assert value.shape == () and ("regression" in terms) == variant.latent_regression
            found.append((stage, str(jax.tree.map(lambda a: a.shape, params)), *sorted(terms)))
        seen[name] = tuple(found)
    assert len(set(seen.values())) == len(seen)
