"""Flows: what +1 means, slow references beside the fast code, and gradients."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vton_jax.core import geometry

# Compiled whole: each operation by itself takes longer to compile than to run.
warp = jax.jit(geometry.warp)
resize = jax.jit(geometry.resize, static_argnums=1)
resize_flow = jax.jit(geometry.resize_flow, static_argnums=1)


def _image(seed=0, shape=(13, 11, 3)):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def _flow(seed=1, size=(13, 11), amount=3.0):
    return np.random.default_rng(seed).uniform(-amount, amount, (*size, 2)).astype(np.float32)


def _smooth_flow(size=(24, 20)):
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    return np.stack([1.5 * np.sin(y / 9) + 0.03 * x, 1.2 * np.cos(x / 7)], -1)


def _slow_warp(image, flow):
    height, width, _ = image.shape
    result = np.zeros(flow.shape[:2] + image.shape[2:], np.float64)
    for y, x in np.ndindex(*flow.shape[:2]):
        at_x, at_y = x + float(flow[y, x, 0]), y + float(flow[y, x, 1])
        at_x, at_y = min(max(at_x, 0), width - 1), min(max(at_y, 0), height - 1)
        left, top = int(np.floor(at_x)), int(np.floor(at_y))
        for dy, dx in np.ndindex(2, 2):
            weight = (1 - abs(at_x - left - dx)) * (1 - abs(at_y - top - dy))
            if weight > 0:
                result[y, x] += weight * image[top + dy, left + dx]
    return result


def test_plus_one_dx_reads_the_right_neighbour_and_dy_the_lower_one():
    image = _image()
    right = warp(image, np.broadcast_to(np.float32([1, 0]), (13, 11, 2)))
    np.testing.assert_allclose(right[:, :-1], image[:, 1:], atol=1e-6)
    np.testing.assert_allclose(right[:, -1], image[:, -1], atol=1e-6)  # beyond the edge: the edge
    below = warp(image, np.broadcast_to(np.float32([0, 1]), (13, 11, 2)))
    np.testing.assert_allclose(below[:-1], image[1:], atol=1e-6)


def test_zero_is_the_identity():
    np.testing.assert_array_equal(warp(_image(), np.zeros((13, 11, 2), np.float32)), _image())


@pytest.mark.parametrize("shape", [(13, 11, 3), (1, 6, 2), (6, 1, 2), (1, 1, 1), (20, 5, 1)])
def test_warp_against_a_slow_reference(shape):
    image, flow = _image(shape=shape), _flow(amount=6)
    np.testing.assert_allclose(warp(image, flow), _slow_warp(image, flow), atol=2e-5)


def test_warp_of_batches():
    images = np.stack([_image(0), _image(1)])
    flows = np.stack([_flow(2), _flow(3)])
    both = warp(images, flows)
    for index in range(2):
        np.testing.assert_allclose(both[index], warp(images[index], flows[index]), atol=1e-6)
    clips = warp(images[None], flows[None])
    np.testing.assert_allclose(clips[0], both, atol=1e-6)


def test_warp_nearest():
    labels = np.arange(12).reshape(3, 4)
    points = np.array([[[0, 0], [3, 2], [1.4, 0.6], [-1, 0], [4, 0]]], np.float32)
    assert geometry.warp_nearest(jnp.asarray(labels), points, 99).tolist() == [[0, 11, 5, 99, 99]]


@pytest.mark.parametrize("size", [(48, 40), (12, 10), (24, 60)])
def test_resized_flow_warps_the_resized_image_alike(size):
    y, x = np.mgrid[0:24, 0:20].astype(np.float32)
    image = np.stack([np.sin(x / 6), np.cos(y / 7), np.sin((x + y) / 9)], -1)
    expected = resize(warp(image, _smooth_flow()), size)
    found = warp(resize(jnp.asarray(image), size), resize_flow(_smooth_flow(), size))
    inside = np.s_[size[0] // 6 : -size[0] // 6, size[1] // 6 : -size[1] // 6]
    assert np.abs(np.asarray(found - expected))[inside].max() < 0.03


def test_resize_flow_scales_each_axis():
    flow = jnp.broadcast_to(jnp.array([3.0, 5.0]), (10, 20, 2))
    np.testing.assert_allclose(resize_flow(flow, (20, 10)), np.broadcast_to([1.5, 10.0], (20, 10, 2)), atol=1e-5)


def test_two_flows_in_turn_are_the_second_and_the_first_warped_by_it():
    y, x = np.mgrid[0:24, 0:20].astype(np.float32)
    image = np.stack([x / 20, y / 24], -1)  # linear, so that bilinear sampling is exact
    first, second = _smooth_flow(), _smooth_flow()[::-1, ::-1].copy()
    at_once = warp(image, second + warp(first, second))
    in_turn = warp(warp(image, first), second)
    np.testing.assert_allclose(at_once[6:-6, 6:-6], in_turn[6:-6, 6:-6], atol=1e-5)  # clear of the edges


def _affine_flow(matrix, size):
    points = np.asarray(geometry.grid(size))
    return points @ np.float32(matrix)[:, :2].T + np.float32(matrix)[:, 2] - points


def test_an_affine_flow_reads_the_mapped_pixel():
    image = _image(shape=(20, 20, 1))
    found = warp(image, _affine_flow([[0, 1, 2], [1, 0, 3]], (6, 5)))
    for y, x in np.ndindex(6, 5):
        np.testing.assert_allclose(found[y, x], image[x + 3, y + 2], atol=1e-6)


def test_a_warped_keypoint_lands_on_the_warped_pixel():
    image = np.zeros((30, 30, 1), np.float32)
    image[12, 20] = 1
    shift = _affine_flow([[1, 0, 5], [0, 1, -3]], (30, 30))
    y, x = np.unravel_index(np.asarray(warp(image, shift))[..., 0].argmax(), (30, 30))
    assert (x + 5, y - 3) == (20, 12)


def test_gradients_against_finite_differences():
    image, flow, weight = _image(), _flow(amount=1.2), _image(5)

    def loss(image, flow):
        return jnp.sum(warp(image, flow) * weight)

    by_image, by_flow = jax.grad(loss, argnums=(0, 1))(jnp.asarray(image), jnp.asarray(flow))
    generator = np.random.default_rng(3)
    step = 1e-3
    checked = 0
    for _ in range(40):
        y, x, axis = generator.integers(2, 9), generator.integers(2, 8), generator.integers(0, 2)
        fraction = (flow[y, x, axis]) % 1
        if not 0.05 < fraction < 0.95:  # bilinear sampling has kinks at whole pixels
            continue
        moved = np.zeros_like(flow)
        moved[y, x, axis] = step
        slow = (
            (_slow_warp(image, flow + moved) - _slow_warp(image, flow - moved)).astype(np.float64) * weight
        ).sum() / (2 * step)
        assert abs(slow - float(by_flow[y, x, axis])) < 5e-3
        checked += 1
    assert checked > 20
    moved = np.zeros_like(image)
    moved[5, 5, 1] = 1
    slow = ((_slow_warp(image + moved, flow) - _slow_warp(image, flow)) * weight).sum()
    np.testing.assert_allclose(by_image[5, 5, 1], slow, atol=1e-3)


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("shape", [(3, 11, 9, 4), (2, 1, 7, 3)])
def test_gradients_are_those_of_four_gathers(monkeypatch, shape, devices):
    """Within, upon and beyond the edges; on a CPU image by image, and of a batch as a whole."""
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    generator = np.random.default_rng(0)
    image, towards = (generator.normal(size=shape).astype(np.float32) for _ in range(2))
    flow = generator.normal(0, 3, (*shape[:3], 2)).astype(np.float32)
    flow[0] = np.round(flow[0])  # whole pixels, many of them upon an edge

    def gathered(image, flow):
        return jax.vmap(geometry.sample)(image, geometry.grid(shape[1:3]) + flow)

    def gradients(of):
        return jax.jit(jax.grad(lambda image, flow: jnp.vdot(of(image, flow), towards), (0, 1)))(image, flow)

    for one, slow in zip(gradients(warp), gradients(gathered), strict=True):
        np.testing.assert_allclose(one, slow, atol=1e-5)


def test_blur_is_the_gaussian_that_opencv_has():
    maps = np.random.default_rng(0).uniform(0, 1, (2, 40, 30, 5)).astype(np.float32)
    ours = np.asarray(geometry.blur(maps, 2.0, 6))
    for one, blurred in zip(maps, ours, strict=True):
        wanted = cv2.sepFilter2D(one, -1, *[cv2.getGaussianKernel(13, 2.0)] * 2, borderType=cv2.BORDER_CONSTANT)
        np.testing.assert_allclose(blurred, wanted, atol=1e-6)
