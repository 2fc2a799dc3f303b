"""PyTorch twins of the networks of `vton_jax.models`: MultiPathCNN, TripleGuidedCNN, ReMapCNN.

Submodules carry Flax's names, so that `load_flax` copies the parameters leaf by leaf. Features are [B, C, H, W] in
channels_last memory; images, maps and flows are [B, H, W, C] as in `vton_jax`.
"""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from vton_jax.core import keypoints, segmentation
from vton_jax.models import re_map_cnn


def inner(x):
    """[B, H, W, C] -> [B, C, H, W], a view in channels_last memory."""
    return x.permute(0, 3, 1, 2)


def outer(x):
    """The inverse of `inner`."""
    return x.permute(0, 2, 3, 1)


def space_to_depth(x, block):
    b, h, w, c = outer(x).shape
    x = outer(x).reshape(b, h // block, block, w // block, block, c).permute(0, 1, 3, 2, 4, 5)
    return inner(x.reshape(b, h // block, w // block, block * block * c))


def depth_to_space(x, block):
    b, h, w, c = outer(x).shape
    x = outer(x).reshape(b, h, w, block, block, c // (block * block)).permute(0, 1, 3, 2, 4, 5)
    return inner(x.reshape(b, h * block, w * block, c // (block * block)))


def upsample(x, factor=2):
    return functional.interpolate(x, scale_factor=factor, mode="nearest")


def warp(image, flow):
    height, width = flow.shape[1:3]
    y, x = torch.meshgrid(
        torch.arange(height, device=flow.device), torch.arange(width, device=flow.device), indexing="ij"
    )
    points = (torch.stack([x, y], -1) + flow) * flow.new_tensor([2 / (width - 1), 2 / (height - 1)]) - 1
    sampled = functional.grid_sample(inner(image), points, "bilinear", "border", align_corners=True)
    return outer(sampled)


# --- layers ----------------------------------------------------------------------------------------------------------


class Conv(nn.Conv2d):
    """A convolution with Flax's "SAME" padding, which is uneven where a stride leaves a remainder."""

    def __init__(self, channels, features, kernel=3, stride=1, bias=True):
        short = max(kernel - stride, 0)
        super().__init__(channels, features, kernel, stride, 0 if short % 2 else short // 2, bias=bias)
        self.uneven = (short // 2, short - short // 2) * 2 if short % 2 else None

    def forward(self, x):
        return super().forward(functional.pad(x, self.uneven) if self.uneven else x)


class Norm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        groups = max(1, min(16, channels // 8))
        while channels % groups:
            groups -= 1
        self.GroupNorm_0 = nn.GroupNorm(groups, channels, eps=1e-6)

    def forward(self, x):
        return self.GroupNorm_0(x)


class ConvBlock(nn.Module):
    def __init__(self, channels, features, stride=1, kernel=3):
        super().__init__()
        self.Conv_0, self.Norm_0 = Conv(channels, features, kernel, stride, bias=False), Norm(features)

    def forward(self, x):
        return functional.silu(self.Norm_0(self.Conv_0(x)))


class ResidualBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.ConvBlock_0, self.Conv_0 = ConvBlock(channels, channels), Conv(channels, channels)

    def forward(self, x):
        return x + self.Conv_0(self.ConvBlock_0(x))


class SelfAttention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, tokens):
        b, places, c = tokens.shape
        q, k, v = (
            part(tokens).view(b, places, self.heads, c // self.heads).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(b, places, c))


class Attention(nn.Module):
    def __init__(self, channels, places, heads=4):
        super().__init__()
        self.Norm_0, self.place = Norm(channels), nn.Parameter(torch.zeros(places, channels))
        self.MultiHeadDotProductAttention_0 = SelfAttention(channels, heads)

    def forward(self, x):
        b, c, h, w = x.shape
        tokens = outer(self.Norm_0(x)).reshape(b, h * w, c) + self.place
        return x + inner(self.MultiHeadDotProductAttention_0(tokens).reshape(b, h, w, c))


class UNet(nn.Module):
    def __init__(self, channels, widths, size):
        super().__init__()
        a, b, c = widths
        places = (size[0] // 16) * (size[1] // 16)
        self.Conv_0 = Conv(channels, a, 4, 4)
        self.ResidualBlock_0 = ResidualBlock(a)
        self.ConvBlock_0, self.ResidualBlock_1 = ConvBlock(a, b, 2), ResidualBlock(b)
        self.ConvBlock_1, self.ResidualBlock_2 = ConvBlock(b, c, 2), ResidualBlock(c)
        self.Attention_0, self.ResidualBlock_3 = Attention(c, places), ResidualBlock(c)
        self.Attention_1 = Attention(c, places)
        self.Conv_1, self.Conv_2 = Conv(c, b, 1), Conv(b, b, 1)
        self.ConvBlock_2, self.ResidualBlock_4 = ConvBlock(b, b), ResidualBlock(b)
        self.Conv_3, self.Conv_4 = Conv(b, a, 1), Conv(a, a, 1)
        self.ConvBlock_3, self.ResidualBlock_5 = ConvBlock(a, a), ResidualBlock(a)

    def forward(self, x):
        first = self.ResidualBlock_0(self.Conv_0(x))
        second = self.ResidualBlock_1(self.ConvBlock_0(first))
        x = self.ResidualBlock_2(self.ConvBlock_1(second))
        x = self.Attention_1(self.ResidualBlock_3(self.Attention_0(x)))
        x = self.ResidualBlock_4(self.ConvBlock_2(upsample(self.Conv_1(x)) + self.Conv_2(second)))
        return self.ResidualBlock_5(self.ConvBlock_3(upsample(self.Conv_3(x)) + self.Conv_4(first)))


# --- networks --------------------------------------------------------------------------------------------------------


class Encoder(nn.Module):
    def __init__(self, size, latent_size, widths=(64, 96, 128, 192)):
        super().__init__()
        self.ConvBlock_0 = ConvBlock(48, widths[0])
        for i, (before, width) in enumerate(itertools.pairwise(widths)):
            setattr(self, f"ResidualBlock_{i}", ResidualBlock(before))
            setattr(self, f"ConvBlock_{i + 1}", ConvBlock(before, width, 2))
        self.ResidualBlock_3 = ResidualBlock(widths[-1])
        places = (size[0] // 32) * (size[1] // 32)
        self.Attention_0 = Attention(widths[-1], places)
        self.ConvBlock_4 = ConvBlock(widths[-1], 64, kernel=1)
        self.Dense_0 = nn.Linear(places * 64, latent_size)

    def forward(self, image):
        x = self.ConvBlock_0(space_to_depth(inner(image * 2 - 1), 4))
        for i in range(3):
            x = getattr(self, f"ConvBlock_{i + 1}")(getattr(self, f"ResidualBlock_{i}")(x))
        x = self.ConvBlock_4(self.Attention_0(self.ResidualBlock_3(x)))
        return self.Dense_0(outer(x).reshape(len(x), -1))


class Path(nn.Module):
    def __init__(self, out, stride, width=96):
        super().__init__()
        self.block = 4 // stride
        self.ConvBlock_0, self.ResidualBlock_0 = ConvBlock(160, width), ResidualBlock(width)
        self.Conv_0, self.ConvBlock_1 = Conv(width, 2 * width, 1), ConvBlock(width // 2, width // 2)
        self.Conv_1 = Conv(width // 2, out * self.block**2)

    def forward(self, x):
        x = self.ResidualBlock_0(self.ConvBlock_0(upsample(x)))
        x = self.ConvBlock_1(depth_to_space(self.Conv_0(x), 2))
        return outer(depth_to_space(self.Conv_1(x), self.block)).float()


class Decoder(nn.Module):
    def __init__(self, size, latent_size, image_width=128):
        super().__init__()
        self.small = size[0] // 32, size[1] // 32
        self.Dense_0 = nn.Linear(latent_size, self.small[0] * self.small[1] * 64)
        self.ConvBlock_0, self.ResidualBlock_0 = ConvBlock(64, 192), ResidualBlock(192)
        self.ConvBlock_1, self.ResidualBlock_1 = ConvBlock(192, 160), ResidualBlock(160)
        self.image_path = Path(3, 1, image_width)
        self.segmentation_path = Path(segmentation.NUM_LABELS, 2)
        self.pose_path = Path(keypoints.NUM_JOINTS, 2)

    def forward(self, z):
        x = inner(self.Dense_0(z).reshape(-1, *self.small, 64))
        x = self.ResidualBlock_0(self.ConvBlock_0(x))
        x = self.ResidualBlock_1(self.ConvBlock_1(upsample(x)))
        return {
            "image": torch.sigmoid(self.image_path(x)),
            "segmentation": self.segmentation_path(x),
            "pose": self.pose_path(x),
        }


class MultiPathCNN(nn.Module):
    def __init__(self, size, latent_size=128):
        super().__init__()
        self.encoder, self.decoder = Encoder(size, latent_size), Decoder(size, latent_size)

    def forward(self, image):
        z = self.encoder(image)
        return {"z": z.float()} | self.decoder(z)


class ReMapCNN(nn.Module):
    def __init__(self, size, widths=(80, 112, 160)):
        super().__init__()
        self.UNet_0 = UNet(3 + 4 * 18, widths, size)
        self.ConvBlock_0, self.Conv_0 = ConvBlock(widths[0], widths[0]), Conv(widths[0], 18)

    def forward(self, dress_image, s_dress, s_output, donor_pose, target_pose):
        maps = torch.cat([dress_image * 2 - 1, s_dress, s_output], -1)
        poses = upsample(inner(torch.cat([donor_pose, target_pose], -1)), 4)
        out = self.Conv_0(self.ConvBlock_0(self.UNet_0(torch.cat([inner(maps), poses], 1)))).float()
        coarse = out[:, :2] * re_map_cnn.FLOW_UNIT
        flow = outer(functional.interpolate(coarse, scale_factor=4, mode="bilinear")) * 4
        mask = torch.sigmoid(outer(depth_to_space(out[:, 2:], 4)))
        return {"flow": flow, "mask": mask, "warped": warp(dress_image, flow), "coarse_flow": outer(coarse)}


class TripleGuidedCNN(nn.Module):
    def __init__(self, size, widths=(96, 128, 160)):
        super().__init__()
        self.UNet_0 = UNet(6 + 3 * 18, widths, size)
        self.ConvBlock_0, self.Conv_0 = ConvBlock(widths[0], widths[0]), Conv(widths[0], 6 * 16)

    def forward(self, input_image, dress_image, s_output, s_input, s_dress):
        x = torch.cat([input_image * 2 - 1, dress_image * 2 - 1, s_output, s_input, s_dress], -1)
        x = outer(depth_to_space(self.Conv_0(self.ConvBlock_0(self.UNet_0(inner(x)))).float(), 4))
        painted = torch.sigmoid(x[..., :3])
        weights = torch.softmax(x[..., 3:] + x.new_tensor([1.0, 0.0, 0.0]), -1)
        return weights[..., :1] * painted + weights[..., 1:2] * input_image + weights[..., 2:] * dress_image


def load_flax(module: nn.Module, tree: dict) -> None:
    """Copies a Flax parameter tree into a module whose submodules carry its names; every leaf must find its place."""
    for name, value in tree.items():
        if isinstance(value, dict):
            load_flax(getattr(module, name), value)
            continue
        array = np.asarray(value)
        if name == "kernel" and isinstance(module, nn.Conv2d):
            array = array.transpose(3, 2, 0, 1)
        elif name == "kernel":
            array = array.reshape(module.in_features, module.out_features).T
        target = getattr(module, {"kernel": "weight", "scale": "weight"}.get(name, name))
        with torch.no_grad():
            target.copy_(torch.tensor(array.reshape(target.shape)))
