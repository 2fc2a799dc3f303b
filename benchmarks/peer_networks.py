"""Networks of other try-on systems, timed: python benchmarks/peer_networks.py [--size=256x192] [--repeats=5] [--json]

Needs the extra `bench`. PF-AFN (Ge et al., "Parser-Free Virtual Try-on via Distilling Appearance Flows", CVPR 2021),
the student as it works at test time: a person and a flat garment with its mask become a picture. Written from its layer
list; the weights are random, so only time, parameters and multiplications mean anything.

As published: a pyramid of 5 levels of the person and one of the garment (FPN); at each level, from the smallest, the
garment's features are warped by the flow so far and correlated with the person's, convolutions read a flow from that,
and others refine it from both features; the warped garment, its mask and the person go through a Res-UNet, whose four
channels are a picture and the mask that lays the garment over it. Widths (encoder 64-128-256-256-256, pyramid 256, flow
128-64-32-2; a stride-2 convolution and two pre-activation residual blocks a level) are those of the released system.

Guessed, or known by hearsay: correlation over 7x7 places at every level; 3x3 convolutions throughout but for the
pyramid's laterals; the Res-UNet's widths (64-128-256-512-512), its two residual blocks a level each way and its nearest
upsampling; batch norms and their places; flows are composed; leaky slopes of 0.1. The sizes below bear the widths and
blocks out. The correlation's size and the norms' places show in none of them.

Checked in tests/test_peer_networks.py: weights of 293.3 MB (DM-VTON's table); an encoder of 9.37 M parameters and 6.63
GMAC, a warping module of 112 MiB, a generator of 43.90 M parameters and 21.93 GMAC (the project page of a pruned
PF-AFN, J. Hu, "2D Virtual Try-on Based on Deep Learning"). No such numbers of the paper itself were at hand.

Pictures are [B, 3, H, W] in -1..1, masks [B, 1, H, W] in 0..1. The report:

    milliseconds: an image, garment and all, as the released test does; the median of `repeats`, the first run apart
    milliseconds_garment_kept: the same with the garment's pyramid at hand, as a clip could have it
    gmac, parameters: of an image, convolutions and correlations; of all networks
    memory_format: of NCHW and channels_last, whichever was faster; PyTorch eager, float32, no gradients
"""

import argparse
import itertools
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

try:
    import torch
    from torch import nn
    from torch.nn import functional
    from torch.utils import flop_counter
except ImportError:
    sentence = 'The networks of other systems need PyTorch: pip install -e ".[bench]".'
    raise (SystemExit if __name__ == "__main__" else ImportError)(sentence) from None

from vton_jax.core.errors import UserError

ENCODER_WIDTHS = (64, 128, 256, 256, 256)
PYRAMID_WIDTH = 256
FLOW_WIDTHS = (128, 64, 32)
GENERATOR_WIDTHS = (64, 128, 256, 512, 512)
RADIUS = 3  # of the correlation
TILE = 8  # its tiles' side, at most
SMALLEST = 2 ** len(ENCODER_WIDTHS)
MEMORY_FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}


def conv(channels: int, features: int, *, kernel: int = 3, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(channels, features, kernel, stride, kernel // 2, bias=bias)


def doubled(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


# -------------------------------------------------------------------------------------------------- the warping module


class PreActivation(nn.Sequential):
    """Norm, ReLU, convolution."""

    def __init__(self, channels, features, stride=1):
        super().__init__(nn.BatchNorm2d(channels), nn.ReLU(inplace=True), conv(channels, features, stride=stride))


class PreActivationBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(PreActivation(channels, channels), PreActivation(channels, channels))

    def forward(self, x):
        return x + self.body(x)


class Encoder(nn.ModuleList):
    """[B, 3, H, W] -> features at 1/2, 1/4, ... 1/32."""

    def __init__(self):
        widths = (3, *ENCODER_WIDTHS)
        super().__init__(
            nn.Sequential(PreActivation(a, b, 2), PreActivationBlock(b), PreActivationBlock(b))
            for a, b in itertools.pairwise(widths)
        )

    def forward(self, x):
        levels = []
        for stage in self:
            x = stage(x)
            levels.append(x)
        return levels


class FeaturePyramid(nn.Module):
    """[B, 3, H, W] -> maps of 256 channels at 1/32, 1/16, ... 1/2: the smallest first."""

    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.lateral = nn.ModuleList(conv(width, PYRAMID_WIDTH, kernel=1, bias=True) for width in ENCODER_WIDTHS)
        self.smooth = nn.ModuleList(conv(PYRAMID_WIDTH, PYRAMID_WIDTH, bias=True) for _ in ENCODER_WIDTHS)

    def forward(self, x):
        maps, above = [], None
        for features, lateral, smooth in reversed(list(zip(self.encoder(x), self.lateral, self.smooth, strict=True))):
            here = lateral(features)
            above = here if above is None else here + doubled(above)
            maps.append(smooth(above))
        return maps


def correlation(a: torch.Tensor, b: torch.Tensor, radius: int = RADIUS) -> torch.Tensor:
    """[B, C, H, W] twice -> [B, (2r+1)^2, H, W]: means over channels of `a` here times `b` at each place around.

    Matrix products of tiles with what lies around them, whose diagonals are what is asked for: four times the
    multiplications needed, and far faster than a product and a sum for each of the shifts.
    """
    batch, channels, height, width = a.shape
    tall, wide = (math.gcd(side, TILE) for side in (height, width))  # a tile
    side, around = 2 * radius + 1, wide + 2 * radius
    down, across = height // tall, width // wide
    tiles = a.permute(0, 2, 3, 1).reshape(batch, down, tall, across, wide, channels).transpose(2, 3)
    padded = functional.pad(b, (radius,) * 4).permute(0, 2, 3, 1)
    near = padded.unfold(1, tall + 2 * radius, tall).unfold(2, around, wide).permute(0, 1, 2, 4, 5, 3)
    products = tiles.flatten(3, 4).flatten(0, 2) @ near.flatten(3, 4).flatten(0, 2).mT  # [tiles, pixels, pixels around]
    pixel = products.shape[2]
    found = products.as_strided(
        (batch, down, across, tall, wide, side, side),
        (down * across * tall * wide * pixel, across * tall * wide * pixel, tall * wide * pixel)
        + (wide * pixel + around, pixel + 1, around, 1),
    )
    out = found.transpose(2, 3).reshape(batch, height, width, side * side).permute(0, 3, 1, 2) / channels
    return out if a.is_contiguous(memory_format=torch.channels_last) else out.contiguous()


def flow_head(channels: int) -> nn.Sequential:
    widths = (channels, *FLOW_WIDTHS)
    layers = []
    for a, b in itertools.pairwise(widths):
        layers += [conv(a, b, bias=True), nn.LeakyReLU(0.1, inplace=True)]
    return nn.Sequential(*layers, conv(widths[-1], 2, bias=True))


def sample(values: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """`values` [B, C, h, w] at `points` [B, 2, H, W], (x, y) in -1..1."""
    return functional.grid_sample(values, points.permute(0, 2, 3, 1), "bilinear", "border", align_corners=False)


def moved(points: torch.Tensor | None, offset: torch.Tensor) -> torch.Tensor:
    """`points` (None: each at its place) looked up `offset` [B, 2, H, W] pixels further."""
    batch, _, height, width = offset.shape
    eye = torch.eye(2, 3, device=offset.device).expand(batch, 2, 3)
    grid = functional.affine_grid(eye, (batch, 1, height, width), align_corners=False).permute(0, 3, 1, 2)
    pixel = torch.tensor([2 / width, 2 / height], device=offset.device)[:, None, None]
    grid = grid + offset * pixel
    return grid if points is None else sample(points, grid)


class WarpingModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.person, self.garment = FeaturePyramid(), FeaturePyramid()
        self.estimate = nn.ModuleList(flow_head((2 * RADIUS + 1) ** 2) for _ in ENCODER_WIDTHS)
        self.refine = nn.ModuleList(flow_head(2 * PYRAMID_WIDTH) for _ in ENCODER_WIDTHS)

    def forward(self, person, garment_maps):
        """`person` [B, 3, H, W], the garment's pyramid -> where the garment is sampled, points [B, 2, H, W]."""
        points = None
        for worn, flat, estimate, refine in zip(
            self.person(person), garment_maps, self.estimate, self.refine, strict=True
        ):
            placed = flat if points is None else sample(flat, points)
            likeness = functional.leaky_relu(correlation(worn, placed), 0.1)
            points = moved(points, estimate(likeness))
            points = moved(points, refine(torch.cat([sample(flat, points), worn], 1)))
            points = functional.interpolate(points, scale_factor=2, mode="bilinear", align_corners=False)
        return points


# ----------------------------------------------------------------------------------------------- the generative module


class ResidualBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(
            conv(channels, channels), nn.BatchNorm2d(channels), nn.ReLU(inplace=True),
            conv(channels, channels), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x):
        return functional.relu(x + self.body(x), inplace=True)


def level(channels: int, features: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        conv(channels, features, stride=stride), nn.BatchNorm2d(features), nn.ReLU(inplace=True),
        ResidualBlock(features), ResidualBlock(features),
    )  # fmt: skip


class ResUNet(nn.Module):
    """[B, 7, H, W] -> [B, 4, H, W]."""

    def __init__(self, channels=7, features=4):
        super().__init__()
        widths = (channels, *GENERATOR_WIDTHS)
        self.down = nn.ModuleList(level(a, b, 2) for a, b in itertools.pairwise(widths))
        below = (GENERATOR_WIDTHS[-1], *(2 * width for width in GENERATOR_WIDTHS[-2:0:-1]))
        self.up = nn.ModuleList(level(a, b, 1) for a, b in zip(below, GENERATOR_WIDTHS[-2::-1], strict=True))
        self.last = conv(2 * GENERATOR_WIDTHS[0], features, bias=True)

    def forward(self, x):
        kept = []
        for stage in self.down:
            x = stage(x)
            kept.append(x)
        for stage, beside in zip(self.up, kept[-2::-1], strict=True):
            x = torch.cat([beside, stage(doubled(x))], 1)
        return self.last(doubled(x))


class PFAFN(nn.Module):
    """The student of PF-AFN at test time."""

    def __init__(self):
        super().__init__()
        self.warping, self.generator = WarpingModule(), ResUNet()

    def garment_maps(self, garment):
        return self.warping.garment(garment)

    def forward(self, person, garment, mask, garment_maps=None):
        """The person [B, 3, H, W] in the garment. `garment_maps`: `garment_maps(garment)`, where at hand."""
        maps = self.garment_maps(garment) if garment_maps is None else garment_maps
        points = self.warping(person, maps)
        garment, mask = sample(garment, points), sample(mask, points)
        picture, shown = self.generator(torch.cat([person, garment, mask], 1)).split([3, 1], 1)
        shown = torch.sigmoid(shown) * mask
        return shown * garment + (1 - shown) * torch.tanh(picture)


# ---------------------------------------------------------------------------------------------------------- the report


def check(size: tuple[int, int]) -> None:
    if any(side <= 0 or side % SMALLEST for side in size):
        raise UserError(f"PF-AFN's sides are multiples of {SMALLEST}, not {size[0]}x{size[1]}.")


def pictures(size: tuple[int, int], device: str = "cpu") -> tuple[torch.Tensor, ...]:
    """Random (person, garment, mask)."""
    person, garment = (torch.rand(1, 3, *size, device=device) * 2 - 1 for _ in range(2))
    return person, garment, torch.rand(1, 1, *size, device=device).round()


def convolution_gmac(network: nn.Module, *inputs: torch.Tensor) -> float:
    """Of the convolutions; networks and inputs may lie on the device `meta`, where nothing is computed."""
    with flop_counter.FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    return counter.get_flop_counts()["Global"].get(torch.ops.aten.convolution, 0) / 2e9


def costs(size: tuple[int, int]) -> tuple[float, int]:
    """(GMAC an image, parameters) of PF-AFN."""
    with torch.device("meta"):
        network = PFAFN().eval()
    places = sum(size[0] * size[1] / 4**each for each in range(1, len(ENCODER_WIDTHS) + 1))
    correlated = places * PYRAMID_WIDTH * (2 * RADIUS + 1) ** 2 / 1e9
    gmac = convolution_gmac(network, *pictures(size, "meta")) + correlated
    return gmac, sum(weight.numel() for weight in network.parameters())


def median_milliseconds(once, repeats: int) -> float:
    once()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        once()
        taken.append(1e3 * (time.perf_counter() - started))
    return statistics.median(taken)


def _in_memory_format(network: nn.Module, inputs, memory_format) -> list[torch.Tensor]:
    network.to(memory_format=memory_format)
    return [each.contiguous(memory_format=memory_format) for each in inputs]


@torch.no_grad()
def time_pf_afn(size: tuple[int, int] = (256, 192), repeats: int = 5) -> dict:
    """The report of the module's docstring and `threads`, the processor's cores that this process may use.

    Raises UserError for sides that are no multiples of 32.
    """
    check(size)
    before, threads = torch.get_num_threads(), len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    try:
        network, whole = PFAFN().eval(), {}
        for name, memory_format in MEMORY_FORMATS.items():
            inputs = _in_memory_format(network, pictures(size), memory_format)
            whole[name] = median_milliseconds(lambda: network(*inputs), repeats)  # noqa: B023
        fastest = min(whole, key=whole.get)
        inputs = _in_memory_format(network, pictures(size), MEMORY_FORMATS[fastest])
        maps = network.garment_maps(inputs[1])
        kept = median_milliseconds(lambda: network(*inputs, maps), repeats)
    finally:
        torch.set_num_threads(before)
    gmac, parameters = costs(size)
    return {
        "milliseconds": round(whole[fastest], 1),
        "milliseconds_garment_kept": round(kept, 1),
        "gmac": round(gmac, 2),
        "parameters": parameters,
        "threads": threads,
        "memory_format": fastest,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="256x192", help="height and width")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each form")
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    options = parser.parse_args()
    try:
        height, width = (int(side) for side in options.size.split("x"))
    except ValueError:
        parser.error(f"--size={options.size} is no size such as 256x192.")
    if options.repeats < 1:
        parser.error("--repeats is at least 1.")
    load = os.getloadavg()[0]
    try:
        found = {"pf_afn": time_pf_afn((height, width), options.repeats)}
    except UserError as error:
        parser.error(str(error))
    found |= {"torch": torch.__version__, "load_before": round(load, 2)}
    print(json.dumps(found) if options.json else json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
