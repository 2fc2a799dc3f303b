"""benchmarks/peer_networks.py: sizes against published ones, the correlation against a slow reference."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@pytest.fixture(scope="module")
def peers():
    pytest.importorskip("torch")
    from benchmarks import peer_networks

    return peer_networks


def test_without_pytorch_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "benchmarks.peer_networks", raising=False)
    with pytest.raises(ImportError, match="PyTorch: pip install"):
        importlib.import_module("benchmarks.peer_networks")


def test_sizes_of_pf_afn_are_the_published_ones(peers):
    import torch

    def count(network):
        return sum(weight.numel() for weight in network.parameters())

    with torch.device("meta"):
        network = peers.PFAFN().eval()
        encoder = network.warping.person.encoder
        picture, stacked = torch.empty(1, 3, 256, 192), torch.empty(1, 7, 256, 192)
    gmac, parameters = peers.costs((256, 192))
    assert parameters == count(network)
    assert 4 * parameters / 1e6 == pytest.approx(293.3, rel=2e-3)  # MB
    assert 4 * count(network.warping) / 2**20 == pytest.approx(112.0, rel=2e-3)  # MiB
    assert count(encoder) / 1e6 == pytest.approx(9.37, abs=0.005)
    assert count(network.generator) / 1e6 == pytest.approx(43.90, abs=0.005)
    # The published counts are 0.2% higher; they seem to hold the norms too.
    assert peers.convolution_gmac(encoder, picture) == pytest.approx(6.63, rel=3e-3)
    assert peers.convolution_gmac(network.generator, stacked) == pytest.approx(21.93, rel=3e-3)
    # Both encoders, both pyramids, the flow's heads, the correlation, the generator; by hand.
    places = sum(256 * 192 / 4**level for level in range(1, 6))
    laterals = sum(256 * 192 / 4 ** (1 + n) * width * 256 for n, width in enumerate((64, 128, 256, 256, 256)))
    heads = 9 * ((49 + 512) * 128 + 2 * (128 * 64 + 64 * 32 + 32 * 2))
    flow = places * (2 * 9 * 256 * 256 + heads + 49 * 256) + 2 * laterals
    assert gmac == pytest.approx(2 * 6.618 + 21.906 + flow / 1e9, rel=1e-4)


@pytest.mark.parametrize("memory_format", ["nchw", "channels_last"])
def test_the_correlation_is_the_mean_of_products_with_each_place_around(peers, memory_format):
    import torch

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 2, 3, 16, 12)).astype(np.float32)
    expected = np.zeros((2, 49, 16, 12))
    for place, y, x in np.ndindex(49, 16, 12):
        there = y + place // 7 - 3, x + place % 7 - 3
        if 0 <= there[0] < 16 and 0 <= there[1] < 12:
            expected[:, place, y, x] = (a[:, :, y, x] * b[:, :, there[0], there[1]]).mean(1)
    order = peers.MEMORY_FORMATS[memory_format]
    found = peers.correlation(*(torch.tensor(each).contiguous(memory_format=order) for each in (a, b)))
    assert found.is_contiguous(memory_format=order)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_points_move_by_pixels_and_compose(peers):
    import torch

    image = torch.arange(8 * 16, dtype=torch.float32).reshape(1, 1, 8, 16)
    right, down = torch.zeros(1, 2, 8, 16), torch.zeros(1, 2, 8, 16)
    right[:, 0], down[:, 1] = 1, 2
    points = peers.moved(peers.moved(None, right), down)
    found = peers.sample(image, points)
    torch.testing.assert_close(found[..., :-2, :-1], image[..., 2:, 1:], atol=1e-3, rtol=0)


def test_pf_afn_is_timed_and_keeps_the_callers_threads(peers):
    import torch

    torch.set_num_threads(1)
    found = peers.time_pf_afn((64, 32), repeats=1)
    assert torch.get_num_threads() == 1
    assert found["milliseconds"] > 0 and found["milliseconds_garment_kept"] > 0 and found["threads"] >= 1
    assert found["gmac"] == pytest.approx(peers.costs((256, 192))[0] * 64 * 32 / (256 * 192), abs=0.005)
    assert found["memory_format"] in peers.MEMORY_FORMATS


def test_a_side_that_cannot_be_halved_five_times_is_said(peers):
    with pytest.raises(ValueError, match="multiples of 32, not 250x192"):
        peers.time_pf_afn((250, 192))
