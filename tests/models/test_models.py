"""The networks and their losses: shapes and names, gradients that reach every parameter, slow obvious references."""

import dataclasses
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vton_jax.core import geometry, keypoints, segmentation
from vton_jax.evaluate import metrics
from vton_jax.models import (
    flow_refinement_cnn,
    garment_cnn,
    latent_prior_cnn,
    layers,
    losses,
    multi_path_cnn,
    parser_cnn,
    re_map_cnn,
    triple_guided_cnn,
    weights,
)
from vton_jax.tasks import TASKS
from vton_jax.tasks.multi_path import MultiPathTask
from vton_jax.training import train_state
from vton_jax.warping import blending

SMALL = (64, 32)  # two places or more for every attention
# The tests wait for the compiler, not for the arithmetic.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
GARMENT_TYPE = jnp.array([0, 3])


@dataclasses.dataclass
class Case:
    """A network, its inputs at a size, the shapes of its outputs there, and its loss as a function of the outputs."""

    module: object
    released: tuple[str, ...]
    inputs: object
    shapes: object
    terms: object
    weights: dict


def pictures(size, channels=3, seed=0):
    return jnp.asarray(np.random.default_rng(seed).random((2, *size, channels), np.float32))


def labels(size):
    return jnp.asarray(np.random.default_rng(1).integers(0, segmentation.NUM_LABELS, (2, *size)))


def layout(size):
    return segmentation.one_hot(labels(size))


def points(size, count):
    return jnp.asarray(np.random.default_rng(2).random((2, count, 2), np.float32)) * min(size)


def quarter(size):
    return size[0] // 4, size[1] // 4


def half(size):
    return size[0] // 2, size[1] // 2


def _re_map_inputs(size):
    pose = pictures(quarter(size), keypoints.NUM_JOINTS)
    return pictures(size), layout(size), layout(size), pose, pose


def latents(seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(2, 128)), jnp.float32)


CASES = {
    "multi_path_cnn": Case(
        lambda size, dtype: multi_path_cnn.MultiPathCNN(size=size, dtype=dtype),
        ("multi_path_cnn",),
        lambda size: (pictures(size),),
        lambda size: {"z": (2, 128), "image": (2, *size, 3), "segmentation": (2, *half(size), 18), "pose": (2, *half(size), 18)},  # noqa: E501
        lambda out, size: multi_path_cnn.loss(out, pictures(size), labels(size), points(size, 18), jnp.ones((2, 18), bool)),  # noqa: E501
        multi_path_cnn.LOSS_WEIGHTS,
    ),
    "garment_cnn": Case(
        lambda size, dtype: garment_cnn.GarmentCNN(dtype=dtype),
        ("garment_cnn",),
        lambda size: (pictures(size),),
        lambda size: {"landmarks": (2, *quarter(size), 12), "segmentation": (2, *half(size), 18)},
        lambda out, size: garment_cnn.loss(
            out, pictures(size), labels(size), points(size, 12), jnp.ones((2, 12), bool), jnp.ones(2, bool)
        ),
        garment_cnn.LOSS_WEIGHTS,
    ),
    "latent_prior_cnn": Case(
        lambda size, dtype: latent_prior_cnn.LatentPriorCNN(dtype=dtype),
        ("latent_prior_cnn",),
        lambda size: (pictures((size[0] // 8, size[1] // 8), 18), latents(6), latents(7)),
        lambda size: {"mean": (2, 128), "log_scale": (2, 128)},
        lambda out, size: latent_prior_cnn.loss(out, latents(8)),
        {"likelihood": 1.0, "latent": 0.5},
    ),
    "parser_cnn": Case(
        lambda size, dtype: parser_cnn.ParserCNN(dtype=dtype),
        ("parser_cnn",),
        lambda size: (pictures(size),),
        lambda size: {"segmentation": (2, *size, 18)},
        lambda out, size: parser_cnn.loss(out, labels(size)),
        parser_cnn.LOSS_WEIGHTS,
    ),
    "re_map_cnn": Case(
        lambda size, dtype: re_map_cnn.ReMapCNN(dtype=dtype),
        ("re_map_cnn",),
        _re_map_inputs,
        lambda size: {"flow": (2, *size, 2), "mask": (2, *size, 1), "warped": (2, *size, 3), "coarse_flow": (2, *quarter(size), 2)},  # noqa: E501
        lambda out, size: re_map_cnn.loss(
            out, pictures(size, seed=3), jnp.zeros((2, *size), int),
            {"flow": jnp.ones((2, *size, 2)), "flow_visible": jnp.ones((2, *size))}, jnp.ones((2, *size)),
        ),
        re_map_cnn.LOSS_WEIGHTS,
    ),
    "flow_refinement_cnn": Case(
        lambda size, dtype: flow_refinement_cnn.FlowRefinementCNN(dtype=dtype),
        ("flow_refinement_cnn", "flow_refinement_cnn_joint"),
        lambda size: (
            pictures(quarter(size), 39), pictures(quarter(size), 36), pictures(quarter(size), 2),
            pictures(quarter(size), 2, seed=9), pictures(quarter(size), 1)[..., 0] > 0.5,
        ),
        lambda size: {"coarse_flow": (2, *quarter(size), 2), "share": (2, *quarter(size), 1)},
        lambda out, size: flow_refinement_cnn.loss(
            out, pictures(quarter(size), 2, seed=10), jnp.ones((2, *quarter(size))), jnp.ones((2, *quarter(size)))
        ),
        flow_refinement_cnn.LOSS_WEIGHTS,
    ),
    "triple_guided_cnn": Case(
        lambda size, dtype: triple_guided_cnn.TripleGuidedCNN(dtype=dtype),
        ("triple_guided_cnn_none", "triple_guided_cnn_pre", "triple_guided_cnn_joint"),
        lambda size: (pictures(size), pictures(size, seed=4), layout(size), layout(size), layout(size)),
        lambda size: {"image": (2, *size, 3), "painted": (2, *size, 3), "shares": (2, *size, 3)},
        lambda out, size: triple_guided_cnn.loss(out, pictures(size, seed=5), jnp.ones((2, *size))),
        triple_guided_cnn.LOSS_WEIGHTS,
    ),
}  # fmt: skip
NAMES = sorted(CASES)


def total_loss(case, module, params, size):
    terms = case.terms(module.apply(params, *case.inputs(size)), size)
    assert set(terms) == set(case.weights)
    return sum(case.weights[name] * term for name, term in terms.items())


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("size", [(256, 192), (128, 96)])
@pytest.mark.parametrize("name", NAMES)
def test_names_shapes_and_types(name, size, dtype):
    case = CASES[name]
    module = case.module(size, dtype)
    params = jax.eval_shape(module.init, jax.random.PRNGKey(0), *case.inputs(size))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}  # whatever it computes in
    out = jax.eval_shape(module.apply, params, *case.inputs(size))
    assert {key: value.shape for key, value in out.items()} == case.shapes(size)
    assert {value.dtype for value in out.values()} == {jnp.dtype("float32")}
    gradient = jax.eval_shape(jax.grad(lambda p: total_loss(case, module, p, size)), params)
    assert jax.tree.structure(gradient) == jax.tree.structure(params)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter(name):
    case = CASES[name]
    module = case.module(SMALL, jnp.bfloat16 if name == "garment_cnn" else jnp.float32)
    params = jax.jit(module.init, compiler_options=QUICK)(jax.random.PRNGKey(0), *case.inputs(SMALL))
    gradient = jax.jit(jax.grad(lambda p: total_loss(case, module, p, SMALL)), compiler_options=QUICK)(params)
    for path, leaf in jax.tree_util.tree_flatten_with_path(gradient)[0]:
        where = jax.tree_util.keystr(path)
        assert np.isfinite(leaf).all(), where
        # Attention does not change when all keys move alike: that bias learns nothing, by construction.
        assert np.abs(leaf).max() > 0 or "['key']['bias']" in where, where


@pytest.mark.parametrize("name", NAMES)
def test_cards_recipes_and_weights_agree(name):
    """Each released file has a card that counts its parameters, and a header that rebuilds the network."""
    case = CASES[name]
    for released in case.released:
        path = weights.released(released)
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        assert "Apache-2.0" in card
        size = tuple(map(int, re.search(r"(\d+)x(\d+)", card).groups()))
        shapes = jax.eval_shape(case.module(size, jnp.float32).init, jax.random.PRNGKey(0), *case.inputs(size))
        assert f"{train_state.count_params(shapes):,}" in card
        if not path.is_file():
            continue
        params, settings, _ = weights.load(path, name)
        assert jax.tree.map(jnp.shape, params) == jax.tree.map(lambda leaf: leaf.shape, shapes)
        assert tuple(settings.get("size", size)) == size


def test_an_untrained_refinement_is_the_mean_of_both_flows():
    inputs = CASES["flow_refinement_cnn"].inputs(SMALL)
    module = flow_refinement_cnn.FlowRefinementCNN()
    params = jax.jit(module.init, compiler_options=QUICK)(jax.random.PRNGKey(0), *inputs)
    flow = module.apply(params, *inputs)["coarse_flow"]
    np.testing.assert_allclose(flow, (inputs[2] + inputs[3]) / 2, atol=1.5)
    same = (*inputs[:2], inputs[2], inputs[2], inputs[4])
    zeroed = jax.tree_util.tree_map_with_path(
        lambda path, a: a * 0 if "Conv_0" in str(path) and "UNet" not in str(path) else a, params
    )
    np.testing.assert_allclose(module.apply(zeroed, *same)["coarse_flow"], inputs[2], atol=1e-6)


def test_the_refinements_loss_counts_pixels_where_the_flow_is_known():
    flow = jnp.zeros((1, 8, 8, 2))
    out = {"coarse_flow": flow + jnp.array([3.0, 4.0])}
    visible = jnp.zeros((1, 8, 8)).at[:, :4].set(1)
    terms = flow_refinement_cnn.loss(out, flow.at[:, 4:].set(99), visible, jnp.ones((1, 8, 8)))
    np.testing.assert_allclose(terms["flow"], np.sqrt(20.0**2 + 1) - 1, rtol=1e-4)  # five pixels there are twenty
    assert terms["tv"] == 0


def test_decode_computes_only_the_paths_asked_for():
    module = multi_path_cnn.MultiPathCNN(size=SMALL)
    params = jax.jit(module.init, compiler_options=QUICK)(jax.random.PRNGKey(0), pictures(SMALL))
    z = jnp.ones((2, module.latent_size))
    everything = jax.jit(lambda p: module.apply(p, z, method="decode"), compiler_options=QUICK)(params)
    assert set(everything) == {"image", "segmentation", "pose"}
    decoder = {k: v for k, v in params["params"]["decoder"].items() if k not in ("image_path", "pose_path")}
    without = {"params": {"decoder": decoder}}  # it cannot use what is not there
    one = jax.jit(lambda p: module.apply(p, z, ("segmentation",), method="decode"), compiler_options=QUICK)(without)
    assert set(one) == {"segmentation"}
    np.testing.assert_allclose(one["segmentation"], everything["segmentation"], atol=1e-5)
    assert everything["image"].min() >= 0 and everything["image"].max() <= 1


def test_the_likelihood_is_the_normal_distributions():
    from scipy.stats import norm

    truth, mean = latents(9), latents(10)
    log_scale = 0.3 * latents(11)
    found = latent_prior_cnn.loss({"mean": mean, "log_scale": log_scale}, truth)["likelihood"]
    wanted = -norm.logpdf(truth, mean, np.exp(log_scale)).mean() - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_multi_paths_loss_leaves_out_what_nobody_annotated():
    """Photos without joints or labels, as some datasets have them, say nothing about poses or layouts."""
    case = CASES["multi_path_cnn"]
    out = {name: jnp.asarray(np.random.default_rng(1).normal(size=shape)) for name, shape in case.shapes(SMALL).items()}
    bare = jnp.array([[True] * 18, [False] * 18])
    unknown = jnp.where(jnp.array([True, False])[:, None, None], labels(SMALL), segmentation.UNKNOWN)
    both = multi_path_cnn.loss(out, pictures(SMALL), unknown, points(SMALL, 18), bare)
    first = jax.tree.map(lambda a: a[:1], (out, pictures(SMALL), labels(SMALL), points(SMALL, 18), bare))
    alone = multi_path_cnn.loss(*first)
    np.testing.assert_allclose(both["pose"], alone["pose"], rtol=1e-5)
    np.testing.assert_allclose(both["dice"], alone["dice"], rtol=1e-4)


def test_the_parsers_loss_leaves_unknown_pixels_out():
    """Whatever the network says there: the value is that of the rest, and no gradient comes from there."""
    truth = np.array(labels(SMALL))
    truth[:, :32] = segmentation.UNKNOWN
    logits = jnp.asarray(np.random.default_rng(3).normal(size=(2, *SMALL, 18)), jnp.float32)

    def value(logits):
        terms = parser_cnn.loss({"segmentation": logits}, jnp.asarray(truth))
        return sum(terms.values())

    other = logits.at[:, :32].add(5.0)
    gradient = jax.grad(value)(logits)
    np.testing.assert_allclose(value(logits), value(other), rtol=1e-6)
    assert not gradient[:, :32].any() and gradient[:, 32:].any()


def test_the_parsers_dice_is_zero_for_the_truth_and_near_one_for_its_opposite():
    truth = labels(SMALL) % 2  # two labels
    for given, least, most in ((truth, 0.0, 0.01), (1 - truth, 0.98, 1.0)):
        logits = 30 * segmentation.one_hot(given)
        assert least <= parser_cnn.loss({"segmentation": logits}, truth)["dice"] <= most


def test_triple_guided_image_is_the_mixture_it_says():
    case = CASES["triple_guided_cnn"]
    module = triple_guided_cnn.TripleGuidedCNN(widths=(16, 16, 16))
    inputs = case.inputs(SMALL)
    run = jax.jit(lambda key: module.init_with_output(key, *inputs)[0], compiler_options=QUICK)
    out = run(jax.random.PRNGKey(0))
    np.testing.assert_allclose(out["shares"].sum(-1), 1.0, atol=1e-5)
    parts = jnp.stack([out["painted"], inputs[0], inputs[1]], -2)  # painted, copied from the input, from the dress
    np.testing.assert_allclose(out["image"], (out["shares"][..., None] * parts).sum(-2), atol=1e-5)


class TinyPaths(nn.Module):
    """What the task needs of MultiPathCNN, quick to compile."""

    size: tuple[int, int] = SMALL

    @nn.compact
    def __call__(self, image):
        x = nn.avg_pool(image, (2, 2), (2, 2))
        pose, labels = nn.Dense(18)(x), nn.Dense(18)(x)
        return {"z": nn.Dense(4)(x.mean((1, 2))), "image": nn.Dense(3)(image), "segmentation": labels, "pose": pose}


def test_the_adversarial_option_gives_both_modules_their_gradient():
    task = MultiPathTask(TinyPaths(), SMALL, adversarial_weight=0.1)
    batch = {"garment_type": GARMENT_TYPE, "donor_flat": jnp.array([True, False])}
    for seed, person in enumerate(("input", "donor", "output")):
        batch |= {
            f"{person}_image": (pictures(SMALL, seed=seed) * 255).astype(jnp.uint8),
            f"{person}_segmentation": labels(SMALL).astype(jnp.uint8),
            f"{person}_keypoints": points(SMALL, 18),
            f"{person}_visible": jnp.ones((2, 18), bool),
        }
    assert task.modules == ("multi_path_cnn", "discriminator") and MultiPathTask().modules == ("multi_path_cnn",)
    params = task.init(jax.random.PRNGKey(0), batch)
    optimizer = optax.sgd(0.1)
    step = jax.jit(train_state.make_train_step(task, optimizer), compiler_options=QUICK)
    state, found = step(train_state.create(params, optimizer), {}, batch, jax.random.PRNGKey(1))
    assert found["finite"] == 1
    assert {"adversarial", "discriminator_real", "discriminator_fake"} <= set(found)
    for name in task.modules:
        assert found[f"gradient_norm/{name}"] > 0
        moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), params[name], state.params[name])
        assert max(jax.tree.leaves(moved)) > 0
    # A flat donor shows no person: its place is the output's.
    people = task._people(batch)
    np.testing.assert_array_equal(people["image"][1], batch["output_image"][0])
    np.testing.assert_array_equal(people["image"][4], batch["donor_image"][1])


def test_every_task_says_what_sizes_it_takes():
    for name, task in TASKS.items():
        with pytest.raises(ValueError, match=r"--size=250x190 .* multiples of (16|32), for example 256x192"):
            if name == "multi_path_cnn":
                task(multi_path_cnn.MultiPathCNN(size=(250, 190)), size=(250, 190))
            else:
                task(size=(250, 190))


# --- losses against slow references ----------------------------------------------------------------------------------


def test_gradient_difference_against_loops():
    a, b = np.asarray(pictures((5, 4))), np.asarray(pictures((5, 4), seed=1))
    down = [abs((a[n, y + 1, x] - a[n, y, x]) - (b[n, y + 1, x] - b[n, y, x])).mean()
            for n in range(2) for y in range(4) for x in range(4)]  # fmt: skip
    right = [abs((a[n, y, x + 1] - a[n, y, x]) - (b[n, y, x + 1] - b[n, y, x])).mean()
             for n in range(2) for y in range(5) for x in range(3)]  # fmt: skip
    np.testing.assert_allclose(losses.gradient_difference(a, b), np.mean(down) + np.mean(right), rtol=1e-5)
    np.testing.assert_allclose(losses.gradient_difference(a, a + 0.3), 0, atol=1e-6)  # a constant is no edge


def test_total_variation_against_loops():
    flow = np.asarray(pictures((5, 4), 2))
    inside = np.random.default_rng(3).random((2, 5, 4)) < 0.7
    down, right = [], []
    for n in range(2):
        for y in range(5):
            for x in range(4):
                for other, found in (((n, y + 1, x), down), ((n, y, x + 1), right)):
                    if other[1] < 5 and other[2] < 4:
                        both = inside[n, y, x] and inside[other]
                        found.append(abs(flow[other] - flow[n, y, x]).sum() if both else 0.0)
    np.testing.assert_allclose(losses.total_variation(flow, inside), np.mean(down) + np.mean(right), rtol=1e-5)


def test_the_flow_may_jump_at_a_boundary():
    flow = jnp.zeros((1, 4, 8, 2)).at[:, :, 4:].set(10.0)
    inside = jnp.ones((1, 4, 8)).at[:, :, 4].set(0)
    assert losses.total_variation(flow, inside) == 0 < losses.total_variation(flow, jnp.ones((1, 4, 8)))


def test_masked_mean():
    values, mask = np.asarray(pictures((5, 4)))[..., 0], np.random.default_rng(4).random((2, 5, 4)) < 0.5
    np.testing.assert_allclose(losses.masked_mean(values, mask), values[mask].mean(), rtol=1e-5)
    assert losses.masked_mean(values, np.zeros_like(mask)) == 0


def test_structural_dissimilarity_is_one_minus_ssim():
    a = np.asarray(pictures((24, 20)))
    b = np.clip(a + 0.2 * np.asarray(pictures((24, 20), seed=1)), 0, 1)
    found = losses.structural_dissimilarity(a, b)
    np.testing.assert_allclose(found[:, 5:-5, 5:-5], 1 - metrics.ssim_map(a, b), atol=2e-4)
    np.testing.assert_allclose(losses.structural_dissimilarity(a, a), 0, atol=1e-5)
    assert found.shape == a.shape


def test_least_squares_adversarial():
    scores = jnp.array([1.0, 0.0])
    assert losses.least_squares_adversarial(scores, True) == losses.least_squares_adversarial(scores, False) == 0.5
    assert losses.least_squares_adversarial(jnp.ones(3), True) == 0


# --- dressing --------------------------------------------------------------------------------------------------------


def test_garment_mask_covers_what_each_type_covers():
    types = segmentation.GARMENT_TYPES
    every = jnp.broadcast_to(jnp.arange(segmentation.NUM_LABELS), (len(types), 1, segmentation.NUM_LABELS))
    masks, targets = (of(every, jnp.arange(len(types))) for of in (blending.garment_mask, blending.target_mask))
    for index, name in enumerate(types):
        assert set(np.flatnonzero(masks[index, 0])) == set(segmentation.GARMENT_LABELS[name])
        assert set(np.flatnonzero(targets[index, 0])) == set(segmentation.TARGET_LABELS[name])
    # Beside a dress or an outfit nothing is worn: all garments of the target show it.
    assert set(segmentation.GARMENT_LABELS["dress"]) == {segmentation.ID["dress"]}
    for name in ("dress", "outfit"):
        assert set(segmentation.TARGET_LABELS[name]) == set(segmentation.GARMENTS)


def re_map_outputs(dress, dx, mask):
    flow = jnp.zeros((*dress.shape[:3], 2)).at[..., 0].set(dx)
    return {"flow": flow, "warped": geometry.warp(dress, flow), "mask": jnp.full((*dress.shape[:3], 1), mask)}


def test_place_dress():
    shirt = segmentation.LABELS.index("upper-clothes")
    worn = np.zeros((2, 6, 8), bool)
    worn[:, 1:5, 3:6] = True
    s_dress = segmentation.one_hot(jnp.where(worn, shirt, 0))
    dress = jnp.where(worn[..., None], 0.5 * pictures((6, 8)), 1.0)
    target = np.roll(worn, -1, 2)
    # One pixel to the left in the target: it reads its right neighbour.
    placed = blending.place_dress(re_map_outputs(dress, 1, 1.0), dress, s_dress, jnp.asarray(target))
    np.testing.assert_allclose(placed["dress_image"], np.roll(dress, -1, 2), atol=1e-6)
    np.testing.assert_array_equal(np.asarray(placed["s_dress"]).argmax(-1), np.where(target, shirt, 0))
    # Where the mask trusts nothing, the dress's mean colour stands in; outside the garment it is white.
    placed = blending.place_dress(re_map_outputs(dress, 1, 0.0), dress, s_dress, jnp.asarray(target))
    for n in range(2):
        mean = np.asarray(dress[n])[worn[n]].mean(0)
        np.testing.assert_allclose(np.asarray(placed["dress_image"][n])[target[n]], np.tile(mean, (12, 1)), atol=1e-5)
        assert (np.asarray(placed["dress_image"][n])[~target[n]] == 1).all()
    empty = blending.place_dress(
        re_map_outputs(dress, 0, 0.5), dress, segmentation.one_hot(jnp.zeros_like(worn, int)), target
    )
    assert np.isfinite(empty["dress_image"]).all()


def test_blend_after_touches_only_the_garment():
    image, dress = pictures((6, 8)), pictures((6, 8), seed=1)
    inside = jnp.zeros((2, 6, 8)).at[:, 2:4].set(1)
    out = blending.blend_after(image, re_map_outputs(dress, 0, 1.0), inside)
    np.testing.assert_allclose(out[:, 2:4], dress[:, 2:4], atol=1e-6)
    np.testing.assert_array_equal(out[:, :2], image[:, :2])
    half_way = blending.blend_after(image, re_map_outputs(dress, 0, 0.5), inside)
    np.testing.assert_allclose(half_way[:, 2:4], (image + dress)[:, 2:4] / 2, atol=1e-6)


def half_known_shirt():
    """A shirt, red above and blue below, of which the flow knows all but a hole and the hem; its mean is purple."""
    rows, columns = np.mgrid[:64, :48]
    inside = (rows >= 8) & (rows < 56) & (columns >= 10) & (columns < 38)
    shirt = np.where((rows < 28)[..., None], np.float32([1, 0, 0]), np.float32([0, 0, 1]))
    hidden = (rows >= 48) | ((rows >= 14) & (rows < 20) & (columns >= 20) & (columns < 26))
    painted = np.broadcast_to(np.float32([0.5, 0, 0.5]), (1, 64, 48, 3))
    return painted, {"warped": shirt[None], "mask": np.float32(~hidden)[None, ..., None]}, inside[None]


def test_where_the_flow_is_not_trusted_the_cloth_around_goes_on():
    painted, re_map, garment_out = half_known_shirt()
    rows, inside = np.mgrid[:64, :48][0], garment_out[0]
    shirt, hidden = re_map["warped"][0], re_map["mask"][0, ..., 0] == 0
    widely = blending.Thresholds(around=6 / 64)
    out = np.asarray(blending.blend_after(painted, re_map, garment_out, widely))[0]
    error = np.abs(out - shirt).max(-1)
    assert error[inside & ~hidden].max() < 1e-5 and error[inside & hidden & (rows < 52)].max() < 0.15
    assert (out[~inside] == painted[0][~inside]).all()
    # Nothing is trusted: the painter's colours stay.
    nothing = blending.blend_after(
        painted, re_map | {"mask": np.zeros((1, 64, 48, 1), np.float32)}, garment_out, widely
    )
    np.testing.assert_array_equal(nothing, painted)


def test_how_far_cloth_goes_on_does_not_depend_on_the_size():
    large = lambda maps: np.repeat(np.repeat(maps, 4, 1), 4, 2)  # noqa: E731
    painted, re_map, garment_out = half_known_shirt()
    small = blending.blend_after(painted, re_map, garment_out)
    out = blending.blend_after(large(painted), {n: large(maps) for n, maps in re_map.items()}, large(garment_out))
    difference = np.abs(np.asarray(geometry.block_means(out, 4)) - np.asarray(small))
    assert difference.mean() < 0.005 and np.abs(np.asarray(small) - painted).mean() > 0.1


def test_a_patch_embedding_is_a_convolution_of_the_joined_parts():
    keys = jax.random.split(jax.random.PRNGKey(0), 4)
    shapes = (2, 16, 24, 3), (2, 16, 24, 5), (2, 4, 6, 2)  # the last holds for all pixels of a patch
    parts = [jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=False)]
    ours, plain = layers.PatchEmbedding(7), nn.Conv(7, (4, 4), (4, 4))

    def joined(parts):
        return jnp.concatenate([*parts[:2], layers.upsample(parts[2], 4)], -1)

    params = plain.init(keys[3], joined(parts))
    made = ours.init(keys[3], parts)
    jax.tree.map(np.testing.assert_array_equal, made, params)
    params["params"]["bias"] += 0.5
    weight = jax.random.normal(keys[3], (2, 4, 6, 7))

    def measure(embed):
        return jax.value_and_grad(lambda params, parts: jnp.sum(weight * embed(params, parts)), (0, 1))(params, parts)

    expected = measure(lambda params, parts: plain.apply(params, joined(parts)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), measure(ours.apply), expected)


@pytest.mark.parametrize(("height", "width", "channels", "features"), [(1, 1, 3, 2), (4, 3, 5, 7), (2, 6, 8, 3)])
def test_a_doubled_convolution_is_the_convolution_of_the_upsampled_map(height, width, channels, features):
    generator = np.random.default_rng(height)
    x, kernel, towards = (
        jnp.asarray(generator.standard_normal(shape), jnp.float32)
        for shape in ((2, height, width, channels), (3, 3, channels, features), (2, 2 * height, 2 * width, features))
    )

    def plain(x, kernel):
        return jax.lax.conv_general_dilated(
            layers.upsample(x), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    (found, found_pull), (wanted, wanted_pull) = (jax.vjp(convolve, x, kernel) for convolve in (layers.doubled, plain))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    for name, one, other in zip(("input", "kernel"), found_pull(towards), wanted_pull(towards), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max(), err_msg=name)


def test_a_doubled_block_takes_the_weights_of_a_block_behind_an_upsampling():
    x = pictures((6, 4), 16)
    plain, ours = (layers.ConvBlock(24, doubled=doubled) for doubled in (False, True))
    params = plain.init(jax.random.PRNGKey(0), layers.upsample(x))
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, ours.init(jax.random.PRNGKey(0), x))
    np.testing.assert_allclose(ours.apply(params, x), plain.apply(params, layers.upsample(x)), rtol=1e-5, atol=1e-5)
