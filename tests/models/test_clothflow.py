"""ClothFlow's equations: the cascade and every loss against slow, obvious NumPy."""

import functools

import jax
import numpy as np
import pytest
from drawn_params import drawn_params

from vton_jax.core import segmentation
from vton_jax.models import clothflow_flow, clothflow_layout, clothflow_render, losses

RNG = np.random.default_rng(0)
SIZE = (32, 32)
SMALL = {"widths": (8, 8, 8), "features": 8, "joints": False}


def maps(*shape):
    return RNG.random(shape, np.float32)


def bilinear(image, flow):
    """W: one pixel after the other, the edge's pixels beyond the edge."""
    height, width = flow.shape[:2]
    out = np.zeros((height, width, image.shape[-1]))
    for y in range(height):
        for x in range(width):
            px, py = (np.clip(v, 0, n - 1) for v, n in zip(np.array([x, y]) + flow[y, x], (width, height), strict=True))
            x0, y0 = (min(int(v), n - 2) for v, n in ((px, width), (py, height)))
            for dy in (0, 1):
                for dx in (0, 1):
                    weight = (1 - abs(px - x0 - dx)) * (1 - abs(py - y0 - dy))
                    out[y, x] += weight * image[y0 + dy, x0 + dx]
    return out


@functools.cache
def flow_inputs():
    labels = RNG.dirichlet(np.ones(18), (1, *SIZE)).astype(np.float32)
    return maps(1, *SIZE, 3), labels, labels[:, ::-1], *(maps(1, 8, 8, 18) for _ in range(2))


def test_the_cascade_is_the_papers_recursion():
    """F_N = E_N([S_N, T_N]); F_{n-1} = U(F_n) + E_{n-1}([W(S_{n-1}, U(F_n)), T_{n-1}])."""
    module, inputs = clothflow_flow.ClothFlowFlow(**SMALL), flow_inputs()
    params = drawn_params(module, *inputs)
    run = jax.jit(lambda params: module.apply(params, *inputs, capture_intermediates=True))
    out, seen = jax.device_get(run(params))
    source, target = (seen["intermediates"][name]["__call__"][0] for name in ("source", "target"))
    estimator = clothflow_flow.Estimator(SMALL["features"])
    apply = jax.jit(lambda params, s, t: estimator.apply({"params": params}, s, t))
    estimate = lambda n, s, t: np.asarray(apply(params["params"][f"E_{n}"], s, t))  # noqa: E731
    flow = estimate(3, source[2], target[2])
    np.testing.assert_allclose(out["flow_3"], flow, atol=1e-4)
    for n in (2, 1):
        up = 2 * flow[0].repeat(2, 0).repeat(2, 1)  # the pixels of a map of twice the size
        moved = bilinear(source[n - 1][0], up)[None].astype(np.float32)
        flow = up[None] + estimate(n, moved, target[n - 1])
        np.testing.assert_allclose(out[f"flow_{n}"], flow, atol=1e-3)
    assert out["flow"].shape == (1, *SIZE, 2)
    # Of the last level one pixel is four of the picture: far from the edges the enlarged flow is four times as long.
    enlarge = jax.jit(lambda level: clothflow_flow.geometry.resize_flow(level, SIZE))
    np.testing.assert_allclose(enlarge(np.ones((1, 8, 8, 2), np.float32)), 4)


@pytest.mark.parametrize(
    ("changes", "blind"),
    [
        ({}, (3, 4)),
        ({"joints": True}, ()),
        ({"layout": False}, (2, 3)),
        ({"dense": True}, (3,)),
        ({"cascade": False}, (3, 4)),
    ],
)
def test_what_the_flow_depends_on(changes, blind):
    """Stage 2 as the paper has it sees no pose; without layout the pose is all that it sees of the target. Of the
    segmentations only the clothing channels are seen."""
    module = clothflow_flow.ClothFlowFlow(**SMALL | {"widths": (8, 8)} | changes)  # two levels are a cascade already
    params = drawn_params(module, *flow_inputs())
    run = jax.jit(lambda params, *given: module.apply(params, *given)["flow"])
    flow = np.asarray(run(params, *flow_inputs()))

    def moves(index, channels):
        """How far the flow moves with other numbers in these channels of an input."""
        given = [one.copy() for one in flow_inputs()]
        given[index][..., channels] = maps(*given[index].shape)[..., channels]
        return np.abs(run(params, *given) - flow).max()

    for index in range(5):
        moved = moves(index, slice(None))
        assert moved == 0 if index in blind else moved > 1e-4, index
    others = np.setdiff1d(np.arange(18), segmentation.GARMENTS)
    assert moves(1, others) == moves(2, others) == 0
    names = {name for name in params["params"] if name.startswith("E_")}
    assert names == ({"E_1"} if "cascade" in changes else {"E_1", "E_2"})


# --- losses ----------------------------------------------------------------------------------------------------------


def parts(absent=()):
    labels = maps(2, 6, 5, 3)
    for example, part in absent:
        labels[example, ..., part] = 0
    return labels


def indicator(source, target, example, part):
    return float(source[example, ..., part].mean() > 1e-3 and target[example, ..., part].mean() > 1e-3)


def test_the_structural_loss():
    source, target, warped = parts([(0, 1)]), parts([(1, 2)]), parts()
    wanted = 0.0
    for b in range(2):
        for i in range(3):
            pixels = [abs(warped[b, y, x, i] - target[b, y, x, i]) for y in range(6) for x in range(5)]
            wanted += indicator(source, target, b, i) * np.mean(pixels) / 2
    structural = jax.jit(clothflow_flow.structural)
    np.testing.assert_allclose(structural(warped, source, target), wanted, rtol=1e-5)
    # What is in neither picture counts for nothing, however wrong it is.
    more = warped.copy()
    more[0, ..., 1] += 9
    np.testing.assert_allclose(structural(more, source, target), wanted, rtol=1e-5)


def test_the_region_wise_perceptual_loss():
    """sum_l lambda_l sum_i 1(s_s,i) 1(s_t,i) |phi_l(s'_s,i c'_s) - phi_l(s_t,i c_t)|."""
    source, target, warped = parts([(0, 1)]), parts([(1, 2)]), parts()
    clothing, truth = maps(2, 6, 5, 3), maps(2, 6, 5, 3)
    phi = lambda pictures: [pictures[:, ::2] ** 2, pictures.sum(-1, keepdims=True)]  # noqa: E731
    weights, wanted = (1.0, 0.5, 0.25), np.zeros(3)
    for b in range(2):
        for i in range(3):
            one, other = warped[b, ..., i, None] * clothing[b], target[b, ..., i, None] * truth[b]
            layers = [(one, other), *zip(phi(one[None]), phi(other[None]), strict=True)]
            for layer, (a, c) in enumerate(layers):
                wanted[layer] += indicator(source, target, b, i) * np.abs(a - c).mean() / 2
    given = (clothing, warped), (truth, target), source
    either = lambda given: [clothflow_flow.roi_perceptual(*given, *more) for more in ((phi, weights), ())]  # noqa: E731
    found, plain = jax.jit(either)(given)
    np.testing.assert_allclose(found, (np.array(weights) * wanted).sum(), rtol=1e-5)
    np.testing.assert_allclose(plain, wanted[0], rtol=1e-5)


def test_smoothness_is_of_the_offset_and_not_of_the_grid():
    flows = [maps(2, 4, 3, 2), maps(2, 8, 6, 2)]
    wanted = 0.0
    for flow in flows:
        unit = flow * 2 / np.array([flow.shape[2], flow.shape[1]])
        wanted += np.mean([np.abs(unit[:, y + 1, x] - unit[:, y, x]).sum(-1) for y in range(flow.shape[1] - 1)
                           for x in range(flow.shape[2])])  # fmt: skip
        wanted += np.mean([np.abs(unit[:, y, x + 1] - unit[:, y, x]).sum(-1) for y in range(flow.shape[1])
                           for x in range(flow.shape[2] - 1)])  # fmt: skip
    smoothness = jax.jit(clothflow_flow.smoothness)
    np.testing.assert_allclose(smoothness(flows), wanted, rtol=1e-5)
    assert smoothness([np.full(flow.shape, 3.0, np.float32) for flow in flows]) == 0  # everything moves alike


def test_the_teacher_counts_pixels_where_the_flow_is_known():
    truth, visible = np.zeros((1, 8, 8, 2), np.float32), np.zeros((1, 8, 8), np.float32)
    visible[:, :4] = 1
    truth[:, 4:] = 99  # nobody knows it there
    moves = np.broadcast_to(np.float32([0.75, 1.0]), (1, 2, 2, 2))
    five = np.sqrt(5.0**2 + 1) - 1  # of a level with a stride of four: 3 and 4 pixels
    teacher = lambda *given: clothflow_flow.teacher(*given, truth, visible)  # noqa: E731
    both = jax.jit(lambda moves, still: (teacher({"flow_1": moves, "flow_2": still}), teacher({"flow_2": moves})))(
        moves, np.zeros((1, 1, 1, 2), np.float32)
    )
    np.testing.assert_allclose(both, [five, five / 2], rtol=1e-5)


def test_the_layouts_cross_entropy():
    logits, labels = RNG.normal(size=(1, 3, 2, 18)).astype(np.float32), RNG.dirichlet(np.ones(18), (1, 3, 2))
    labels[0, 0, 0] = 0  # unknown
    wanted = 0.0
    for y in range(3):
        for x in range(2):
            chance = np.exp(logits[0, y, x]) / np.exp(logits[0, y, x]).sum()
            wanted -= (labels[0, y, x] * np.log(chance)).sum() / 6
    found = jax.jit(clothflow_layout.loss)({"segmentation": logits}, labels)
    np.testing.assert_allclose(found["cross_entropy"], wanted, rtol=1e-5)


def test_the_rendering_loss_and_its_gram_matrices():
    a, b = maps(2, 4, 6, 3), maps(2, 4, 6, 3)
    phi = lambda pictures: [pictures[:, ::2], pictures[..., :2] ** 2]  # noqa: E731
    rolled = [np.roll(features, 1, 2) for features in phi(a)]  # where a pattern lies is no matter of style
    both = lambda a, b: (clothflow_render.loss(a, b, phi), clothflow_render.loss(a, b))  # noqa: E731
    terms, plain = jax.jit(both)(a, b)
    same = jax.jit(lambda a: losses.style(phi(a), rolled, (1, 1)))(a)
    assert set(terms) == {"l1", "perceptual", "style"} and set(plain) == {"l1"}
    perceptual = style = 0.0
    for weight, one, other in zip(clothflow_render.FEATURE_WEIGHTS, phi(a), phi(b), strict=False):
        perceptual += weight * np.abs(one - other).mean()
        grams = []
        for features in (one, other):
            _, h, w, c = features.shape
            grams.append(np.array([[[(f[..., i] * f[..., j]).sum() / (h * w * c) for j in range(c)] for i in range(c)]
                                   for f in features]))  # fmt: skip
        style += weight * np.abs(grams[0] - grams[1]).mean()
    np.testing.assert_allclose(terms["l1"], np.abs(a - b).mean(), rtol=1e-5)
    np.testing.assert_allclose(terms["perceptual"], perceptual, rtol=1e-5)
    np.testing.assert_allclose(terms["style"], style, rtol=1e-4)
    np.testing.assert_allclose(same, 0, atol=1e-6)
