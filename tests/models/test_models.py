"""The networks and their losses: shapes and names, gradients that reach every parameter, slow obvious references."""

import dataclasses
import functools
import re
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn_params import drawn_params
from jax.extend.core import Var
from quick_kernels import quick_kernels

from vton_jax.core import keypoints, segmentation
from vton_jax.core.types import Layout
from vton_jax.models import (
    clothflow_flow,
    clothflow_layout,
    clothflow_render,
    latent_prior_cnn,
    layout_refinement_cnn,
    multi_path_cnn,
    re_map_cnn,
    reader_cnn,
    shading_cnn,
    triple_guided_cnn,
    weights,
)
from vton_jax.training import train_state

SMALL = (64, 32)  # two places or more for every attention
# The tests wait for the compiler, not for the arithmetic.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@dataclasses.dataclass
class Case:
    """A network, its inputs at a size, the shapes of its outputs there, and its loss as a function of the outputs."""

    module: object
    released: tuple[str, ...]
    inputs: object
    shapes: object
    terms: object
    weights: dict
    fewer: dict  # settings with fewer levels and channels: the same parts, quicker to compile


def pictures(size, channels=3, seed=0):
    return np.random.default_rng(seed).random((2, *size, channels), np.float32)


def labels(size):
    return np.random.default_rng(1).integers(0, segmentation.NUM_LABELS, (2, *size)).astype(np.int32)


def layout(size):
    return segmentation.one_hot(labels(size))


def points(size, count):
    return np.random.default_rng(2).random((2, count, 2), np.float32) * min(size)


def quarter(size):
    return size[0] // 4, size[1] // 4


def half(size):
    return size[0] // 2, size[1] // 2


def eighth(size):
    return size[0] // 8, size[1] // 8


def _flow_terms(out, size):
    clothing, source, target = pictures(half(size), 3), pictures(half(size), 6), pictures(half(size), 6, seed=7)
    warped = clothflow_flow.geometry.warp(jnp.concatenate([clothing, source], -1), out["flow"])
    brought = warped[..., :3], warped[..., 3:]
    return {
        "structural": clothflow_flow.structural(brought[1], source, target),
        "roi_perceptual": clothflow_flow.roi_perceptual(brought, (pictures(half(size), seed=8), target), source),
        "smooth": clothflow_flow.smoothness([flow for name, flow in out.items() if name != "flow"]),
    }


def _re_map_inputs(size):
    pose = pictures(quarter(size), keypoints.NUM_JOINTS)
    return pictures(size), layout(size), layout(size), pose, pose


def _given(size):
    one = Layout(labels(half(size)), points(size, 18), jnp.ones((2, 18), bool))
    return layout_refinement_cnn.Given(one, one, one, jnp.array([0, 2]))


def latents(seed):
    return np.random.default_rng(seed).normal(size=(2, 128)).astype(np.float32)


CASES = {
    "multi_path_cnn": Case(
        lambda size, dtype: multi_path_cnn.MultiPathCNN(size=size, dtype=dtype),
        ("multi_path_cnn",),
        lambda size: (pictures(size),),
        lambda size: {"z": (2, 128), "image": (2, *size, 3), "segmentation": (2, *half(size), 18), "pose": (2, *half(size), 18)},  # noqa: E501
        lambda out, size: multi_path_cnn.loss(out, pictures(size), labels(size), points(size, 18), jnp.ones((2, 18), bool)),  # noqa: E501
        multi_path_cnn.LOSS_WEIGHTS,
        {},
    ),
    "latent_prior_cnn": Case(
        lambda size, dtype: latent_prior_cnn.LatentPriorCNN(dtype=dtype),
        ("latent_prior_cnn",),
        lambda size: (pictures((size[0] // 8, size[1] // 8), 18), latents(6), latents(7)),
        lambda size: {"mean": (2, 128), "log_scale": (2, 128)},
        lambda out, size: latent_prior_cnn.loss(out, latents(8)),
        {"likelihood": 1.0, "latent": 0.5},
        {"widths": (16, 16)},
    ),
    "layout_refinement_cnn": Case(
        lambda size, dtype: layout_refinement_cnn.LayoutRefinementCNN(dtype=dtype),
        ("layout_refinement_cnn",),
        lambda size: (layout(size), layout_refinement_cnn.maps_of(_given(size), size)),
        lambda size: {"segmentation": (2, *size, 18)},
        lambda out, size: layout_refinement_cnn.loss(out, labels(size)),
        layout_refinement_cnn.LOSS_WEIGHTS,
        {"widths": (16, 16)},
    ),
    "reader_cnn": Case(
        lambda size, dtype: reader_cnn.ReaderCNN(dtype=dtype),
        ("reader_cnn",),
        lambda size: (pictures(size),),
        lambda size: {
            "segmentation": (2, *size, 18), "joints": (2, *quarter(size), 18), "outside": (2, 18), "places": (2, 18, 2),
            "seen": (2, 18), "kind": (2, 3), "garment_type": (2, 3), "sleeves": (2, 4), "facing": (2, 2),
        },
        lambda out, size: reader_cnn.loss(out, reader_cnn.Truth(
            labels(size), points(size, 18), jnp.ones((2, 18), bool), jnp.ones((2, 18), bool), jnp.array([1, 2]),
            jnp.array([-1, 2]), jnp.array([0, -1]), jnp.array([[0.6, 0.8], [0, 0]]),
        )),
        reader_cnn.LOSS_WEIGHTS,
        {"widths": (8, 16, 24), "hidden": 16},
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
        {"widths": (16, 16)},
    ),
    "triple_guided_cnn": Case(
        lambda size, dtype: triple_guided_cnn.TripleGuidedCNN(dtype=dtype),
        ("triple_guided_cnn_none", "triple_guided_cnn_pre", "triple_guided_cnn_joint"),
        lambda size: (pictures(size), pictures(size, seed=4), layout(size), layout(size), layout(size)),
        lambda size: {"image": (2, *size, 3), "painted": (2, *size, 3), "weights": (2, *size, 3)},
        lambda out, size: triple_guided_cnn.loss(out, pictures(size, seed=5), jnp.ones((2, *size))),
        triple_guided_cnn.LOSS_WEIGHTS,
        {"widths": (16, 16)},
    ),
    "shading_cnn": Case(
        lambda size, dtype: shading_cnn.ShadingCNN(dtype=dtype),
        ("shading_cnn",),
        lambda size: shading_cnn.inputs(labels(size), points(size, 18), jnp.ones((2, 18), bool)),
        lambda size: {"root": (2, *half(size), 5)},
        lambda out, size: shading_cnn.loss(out["root"], pictures(half(size), 5)),
        shading_cnn.LOSS_WEIGHTS,
        {"widths": (16, 16)},
    ),
    # The first two stages see pictures at half their size.
    "clothflow_layout": Case(
        lambda size, dtype: clothflow_layout.ClothFlowLayout(dtype=dtype),
        ("clothflow_layout",),
        lambda size: (pictures(half(size)), layout(half(size)), pictures(half(size), seed=4), layout(half(size)), pictures(eighth(size), 18)),  # noqa: E501
        lambda size: {"segmentation": (2, *half(size), 18)},
        lambda out, size: clothflow_layout.loss(out, layout(half(size))),
        clothflow_layout.LOSS_WEIGHTS,
        {"widths": (16, 16)},
    ),
    "clothflow_flow": Case(
        lambda size, dtype: clothflow_flow.ClothFlowFlow(dtype=dtype),
        ("clothflow_flow",),
        lambda size: (
            pictures(half(size)), layout(half(size)), layout(half(size))[:, ::-1],
            pictures(eighth(size), 18), pictures(eighth(size), 18, seed=4),
        ),
        lambda size: {"flow": (2, *half(size), 2)} | {
            f"flow_{n + 1}": (2, *(-(-side // 2 ** (n + 2)) for side in half(size)), 2) for n in range(4)
        },
        _flow_terms,
        clothflow_flow.LOSS_WEIGHTS,
        {"widths": (16, 16), "features": 16},
    ),
    "clothflow_render": Case(
        lambda size, dtype: clothflow_render.ClothFlowRender(dtype=dtype),
        ("clothflow_render",),
        lambda size: (pictures(size), pictures(size, seed=4), layout(size), pictures(quarter(size), 18)),
        lambda size: {"image": (2, *size, 3), "painted": (2, *size, 3), "weights": (2, *size, 3)},
        lambda out, size: clothflow_render.loss(out["image"], pictures(size, seed=5)),
        {"l1": 1.0},
        {"widths": (16, 16)},
    ),
}  # fmt: skip
NAMES = sorted(CASES)


def total_loss(case, module, params, size):
    """The weighted loss, and the network's outputs."""
    out = module.apply(params, *case.inputs(size))
    terms = case.terms(out, size)
    assert set(terms) == set(case.weights)
    return sum(case.weights[name] * term for name, term in terms.items()), out


# --- networks --------------------------------------------------------------------------------------------------------


@functools.cache
def shapes_of(name, size):
    """The shapes of a network's parameters; it is traced once for all tests."""
    case = CASES[name]
    with quick_kernels():
        return jax.eval_shape(
            lambda key: case.module(size, jnp.float32).init(key, *case.inputs(size)), jax.random.PRNGKey(0)
        )


def reached(jaxpr):
    """Which inputs of a program its first output is made of, as its equations are written."""
    needed = {jaxpr.outvars[0]}
    for equation in reversed(jaxpr.eqns):
        if needed.intersection(equation.outvars):
            needed.update(one for one in equation.invars if isinstance(one, Var))
    return [one in needed for one in jaxpr.invars]


@pytest.mark.parametrize("name", NAMES)
def test_names_shapes_and_types(name):
    case, size = CASES[name], (256, 192)
    params = shapes_of(name, size)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    # The outputs come with the loss: the network is traced once for both.
    program = jax.make_jaxpr(lambda p: total_loss(case, case.module(size, jnp.float32), p, size), return_shape=True)
    jaxpr, (_, out) = program(params)
    assert all(reached(jaxpr.jaxpr)), "what the loss does not see is never learned"
    assert {key: value.shape for key, value in out.items()} == case.shapes(size)
    assert {value.dtype for value in out.values()} == {jnp.dtype("float32")}


@functools.cache
def small_params(name):
    """Parameters for `fewer` levels."""
    return drawn_params(CASES[name].module(SMALL, jnp.float32).clone(**CASES[name].fewer), *CASES[name].inputs(SMALL))


@pytest.mark.parametrize("name", NAMES)
@quick_kernels()
def test_names_shapes_and_types_in_half_the_bits(name):
    case, size, dtype = CASES[name], (128, 96), jnp.bfloat16
    make = case.module(size, dtype).init_with_output
    out, params = jax.eval_shape(lambda: make(jax.random.PRNGKey(0), *case.inputs(size)))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}  # whatever it computes in
    assert {key: value.shape for key, value in out.items()} == case.shapes(size)
    assert {value.dtype for value in out.values()} == {jnp.dtype("float32")}
    small = case.module(SMALL, dtype).clone(**case.fewer)
    params = small_params(name)
    gradient = jax.eval_shape(jax.grad(lambda p: total_loss(case, small, p, SMALL)[0]), params)
    assert jax.tree.structure(gradient) == jax.tree.structure(params)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter(name):
    case = CASES[name]
    module = case.module(SMALL, jnp.bfloat16 if name == "re_map_cnn" else jnp.float32).clone(**case.fewer)
    params = small_params(name)
    gradient = jax.jit(jax.grad(lambda p: total_loss(case, module, p, SMALL)[0]), compiler_options=QUICK)(params)
    assert jax.tree.structure(gradient) == jax.tree.structure(params)
    for path, leaf in jax.tree_util.tree_flatten_with_path(jax.device_get(gradient))[0]:
        where = jax.tree_util.keystr(path)
        assert np.isfinite(leaf).all(), where
        # Attention does not change when all keys move alike: that bias learns nothing, by construction.
        assert np.abs(leaf).max() > 0 or "['key']['bias']" in where, where


@pytest.mark.parametrize("name", NAMES)
def test_cards_recipes_and_weights_agree(name):
    """Each released file has a card that counts its parameters, and a header that rebuilds the network."""
    for released in CASES[name].released:
        path = weights.released(released)
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        assert "Apache-2.0" in card
        size = tuple(map(int, re.search(r"(\d+)x(\d+)", card).groups()))
        shapes = shapes_of(name, size)
        assert f"{train_state.count_params(shapes):,}" in card
        if not path.is_file():
            continue
        params, settings, _ = weights.load(path, name)
        assert jax.tree.map(jnp.shape, params) == jax.tree.map(lambda leaf: leaf.shape, shapes)
        assert tuple(settings.get("size", size)) == size


@quick_kernels()
def test_refinement_begins_with_what_the_coarse_map_says():
    module, inputs = layout_refinement_cnn.LayoutRefinementCNN(), CASES["layout_refinement_cnn"].inputs
    coarse, given = jax.device_get(jax.jit(lambda: inputs(SMALL))())
    coarse = np.repeat(np.repeat(coarse[:, ::16, ::16], 16, 1), 16, 2)  # large parts, some unknown
    coarse[:, :8] = 0
    run = jax.jit(lambda key: module.init_with_output(key, coarse, given)[0], compiler_options=QUICK)
    found = np.asarray(run(jax.random.PRNGKey(0))["segmentation"]).argmax(-1)
    assert (found[:, 8:] == coarse[:, 8:].argmax(-1)).mean() > 0.9


def test_decode_computes_only_the_paths_asked_for():
    module = multi_path_cnn.MultiPathCNN(size=SMALL)
    params = small_params("multi_path_cnn")
    z = jnp.ones((2, module.latent_size))
    everything = jax.jit(lambda p: module.apply(p, z, method="decode"), compiler_options=QUICK)(params)
    assert set(everything) == {"image", "segmentation", "pose"}
    decoder = {k: v for k, v in params["params"]["decoder"].items() if k not in ("image_path", "pose_path")}
    without = {"params": {"decoder": decoder}}  # it cannot use what is not there
    one = jax.jit(lambda p: module.apply(p, z, ("segmentation",), method="decode"), compiler_options=QUICK)(without)
    assert set(one) == {"segmentation"}
    np.testing.assert_allclose(one["segmentation"], everything["segmentation"], atol=1e-5)
    image = np.asarray(everything["image"])
    assert image.min() >= 0 and image.max() <= 1


def test_the_likelihood_is_the_normal_distributions():
    truth, mean = latents(9), latents(10)
    log_scale = 0.3 * latents(11)
    found = jax.jit(latent_prior_cnn.loss)({"mean": mean, "log_scale": log_scale}, truth)["likelihood"]
    rows = zip(truth.flat, mean.flat, np.exp(log_scale).flat, strict=True)
    wanted = -np.mean([np.log(NormalDist(m, s).pdf(x)) for x, m, s in rows]) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_multi_paths_loss_leaves_out_what_nobody_annotated():
    """Photos without joints or labels, as some datasets have them, say nothing about poses or layouts."""
    case, generator = CASES["multi_path_cnn"], np.random.default_rng(1)
    out = {name: generator.normal(size=shape).astype(np.float32) for name, shape in case.shapes(SMALL).items()}
    bare = np.array([[True] * 18, [False] * 18])
    unknown = np.where(np.array([True, False])[:, None, None], labels(SMALL), segmentation.UNKNOWN)
    loss = jax.jit(multi_path_cnn.loss)
    both = loss(out, pictures(SMALL), unknown, points(SMALL, 18), bare)
    first = jax.tree.map(lambda a: a[:1], (out, pictures(SMALL), labels(SMALL), points(SMALL, 18), bare))
    alone = loss(*first)
    np.testing.assert_allclose(both["pose"], alone["pose"], rtol=1e-5)
    np.testing.assert_allclose(both["dice"], alone["dice"], rtol=1e-4)


@quick_kernels()
def test_triple_guided_image_is_the_mixture_it_says():
    case = CASES["triple_guided_cnn"]
    module = triple_guided_cnn.TripleGuidedCNN(widths=(16, 16, 16))
    inputs = jax.device_get(jax.jit(lambda: case.inputs(SMALL))())
    run = jax.jit(lambda key: module.init_with_output(key, *inputs)[0], compiler_options=QUICK)
    out = jax.device_get(run(jax.random.PRNGKey(0)))
    np.testing.assert_allclose(out["weights"].sum(-1), 1.0, atol=1e-5)
    parts = np.stack([out["painted"], inputs[0], inputs[1]], -2)  # painted, copied from the input, from the dress
    np.testing.assert_allclose(out["image"], (out["weights"][..., None] * parts).sum(-2), atol=1e-5)
