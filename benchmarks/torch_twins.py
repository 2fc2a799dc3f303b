"""PyTorch twins of MultiPathCNN and of TripleGuidedCNN with ReMapCNN (arm `joint`): networks, losses, train step.

They compute the same functions as `vton_jax.models` and `vton_jax.tasks` do: submodules carry Flax's names, so that
`load_flax` copies the parameters leaf by leaf, and `benchmarks/train_step.py` compares losses and gradients before it
times anything. Written as a PyTorch user would write them for speed: channels_last, fused Adam, `grid_sample`,
`scaled_dot_product_attention`, autocast. Features are [B, C, H, W] in channels_last memory; images, maps and flows
are [B, H, W, C] as in `vton_jax`. Layouts are the truth's (`--layouts=truth`).
"""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils import flop_counter

from vton_jax.core import keypoints, segmentation
from vton_jax.models import multi_path_cnn, re_map_cnn, triple_guided_cnn
from vton_jax.warping import blending

PEOPLE = ("input", "donor", "output")


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
        shares = torch.softmax(x[..., 3:] + x.new_tensor([1.0, 0.0, 0.0]), -1)
        return shares[..., :1] * painted + shares[..., 1:2] * input_image + shares[..., 2:] * dress_image


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


# --- losses ----------------------------------------------------------------------------------------------------------


def warp(image, flow):
    height, width = flow.shape[1:3]
    y, x = torch.meshgrid(
        torch.arange(height, device=flow.device), torch.arange(width, device=flow.device), indexing="ij"
    )
    points = (torch.stack([x, y], -1) + flow) * flow.new_tensor([2 / (width - 1), 2 / (height - 1)]) - 1
    sampled = functional.grid_sample(inner(image), points, "bilinear", "border", align_corners=True)
    return outer(sampled)


def pose_map(points, visible, size, sigma):
    """Keypoints [B, J, 2] and visible [B, J] -> [B, H, W, J]; a product of rows and columns, in float32."""
    rows, columns = (torch.arange(side, device=points.device)[:, None] for side in size)
    x = torch.exp(-0.5 * ((columns - points[:, None, :, 0]) / sigma) ** 2) * visible[:, None]
    y = torch.exp(-0.5 * ((rows - points[:, None, :, 1]) / sigma) ** 2)
    return y[:, :, None] * x[:, None]


def scale(points, from_size, to_size):
    factor = points.new_tensor([to_size[1] / from_size[1], to_size[0] / from_size[0]])
    return (points + 0.5) * factor - 0.5


def one_hot(labels):
    return functional.one_hot(labels.long(), segmentation.NUM_LABELS).float()


def gradient_difference(a, b):
    rows = ((a[:, 1:] - a[:, :-1]) - (b[:, 1:] - b[:, :-1])).abs()
    columns = ((a[:, :, 1:] - a[:, :, :-1]) - (b[:, :, 1:] - b[:, :, :-1])).abs()
    return rows.mean() + columns.mean()


def masked_mean(values, mask):
    return (values * mask).sum() / mask.sum().clamp(min=1.0)


@torch.autocast("cuda", enabled=False)
def structural_dissimilarity(a, b):
    taps = torch.exp(-0.5 * ((torch.arange(11, device=a.device) - 5) / 1.5) ** 2)
    taps = taps / taps.sum()

    def blur(x):
        x = functional.conv2d(x, taps.view(1, 1, 11, 1).expand(3, 1, 11, 1), padding=(5, 0), groups=3)
        return functional.conv2d(x, taps.view(1, 1, 1, 11).expand(3, 1, 1, 11), padding=(0, 5), groups=3)

    a, b = inner(a), inner(b)
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return 1 - top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))


def boundaries(labels):
    rows, columns = labels[:, 1:] != labels[:, :-1], labels[:, :, 1:] != labels[:, :, :-1]
    out = torch.zeros_like(labels, dtype=torch.bool)
    out[:, 1:] |= rows
    out[:, :-1] |= rows
    out[:, :, 1:] |= columns
    out[:, :, :-1] |= columns
    return out


def total(terms, weights):
    return sum(weights[name] * value for name, value in terms.items())


class MultiPathTwin(nn.Module):
    """`forward(batch)` is the loss of `tasks.multi_path.MultiPathTask`."""

    def __init__(self, size, device):
        super().__init__()
        self.multi_path_cnn = MultiPathCNN(size)
        weights = [multi_path_cnn._CLASS_WEIGHTS.get(name, 1.0) for name in segmentation.LABELS]
        self.weights = torch.tensor(weights, device=device)

    def people(self, batch):
        out = []
        for name in ("image", "segmentation", "keypoints", "visible"):
            parts = {p: batch[f"{p}_{name}"] for p in PEOPLE}
            flat = batch["donor_flat"].reshape((-1,) + (1,) * (parts["donor"].ndim - 1))
            parts["donor"] = torch.where(flat, parts["output"], parts["donor"])
            out.append(torch.cat([parts[p] for p in PEOPLE]))
        return out

    def forward(self, batch):
        image, labels, points, visible = self.people(batch)
        image = image.float() / 255
        outputs = self.multi_path_cnn(image)
        size = outputs["segmentation"].shape[1:3]
        target = outer(functional.avg_pool2d(inner(one_hot(labels)), 2))
        log_probabilities = functional.log_softmax(outputs["segmentation"], -1)
        probabilities = log_probabilities.exp()
        overlap = 2 * (probabilities * target).sum((0, 1, 2)) + 1
        both = probabilities.sum((0, 1, 2)) + target.sum((0, 1, 2)) + 1
        present = target.sum((0, 1, 2)) > 0
        maps = pose_map(scale(points, image.shape[1:3], size), visible, size, multi_path_cnn.POSE_SIGMA)
        small, small_out = (outer(functional.avg_pool2d(inner(x), 2)) for x in (image, outputs["image"]))
        terms = {
            "image": (outputs["image"] - image).abs().mean() + gradient_difference(small_out, small),
            "segmentation": -(self.weights * target * log_probabilities).sum(-1).mean(),
            "dice": torch.where(present, 1 - overlap / both, 0.0).sum() / present.sum().clamp(min=1),
            "pose": ((outputs["pose"] - maps) ** 2 * (1 + 30 * maps)).mean(),
            "latent": (outputs["z"] ** 2).mean(),
        }
        return total(terms, multi_path_cnn.LOSS_WEIGHTS)


class TripleGuidedTwin(nn.Module):
    """`forward(batch)` is the loss of `tasks.triple_guided.TripleGuidedTask`, arm `joint`, layouts of the truth."""

    def __init__(self, size, device):
        super().__init__()
        self.triple_guided_cnn, self.re_map_cnn = TripleGuidedCNN(size), ReMapCNN(size)
        table = np.asarray(
            blending.garment_mask(
                np.broadcast_to(np.arange(256), (len(segmentation.GARMENT_TYPES), 1, 256)),
                np.arange(len(segmentation.GARMENT_TYPES)),
            )
        )
        self.table = torch.tensor(table[:, 0], device=device)

    def pose(self, batch, name, flat, size):
        points, visible = batch[f"{name}_keypoints"], batch[f"{name}_visible"]
        spread = torch.where(flat & (name == "donor"), 0.02, 0.006)[:, None, None] * size[0]
        points = points + spread * torch.randn_like(points)
        visible = visible & (torch.rand(visible.shape, device=points.device) < 0.95)
        small = size[0] // 4, size[1] // 4
        return pose_map(scale(points, size, small), visible, small, re_map_cnn.POSE_MAP_SIGMA)

    def forward(self, batch):
        images = {p: batch[f"{p}_image"].float() / 255 for p in PEOPLE}
        labels = {p: batch[f"{p}_segmentation"].long() for p in PEOPLE}
        size = images["input"].shape[1:3]
        garment = batch["garment_type"].long()[:, None, None]
        donated = self.table[garment, labels["donor"]]
        worn = self.table[garment, labels["output"]]
        dress = torch.where(donated[..., None], images["donor"], 1.0)
        s_input, s_output = one_hot(labels["input"]), one_hot(labels["output"])
        s_dress = one_hot(torch.where(donated, labels["donor"], 0))
        poses = [self.pose(batch, p, batch["donor_flat"], size) for p in ("donor", "output")]
        mapped = self.re_map_cnn(dress, s_dress, s_output, *poses)

        cloth = 1 - s_dress[..., :1]
        mean = (dress * cloth).sum((1, 2), keepdim=True) / cloth.sum((1, 2), keepdim=True).clamp(min=1.0)
        inside = worn[..., None].float()
        placed = inside * (mapped["mask"] * mapped["warped"] + (1 - mapped["mask"]) * mean) + (1 - inside)
        image = self.triple_guided_cnn(images["input"], placed, s_output, s_input, warp(s_dress, mapped["flow"]))

        truth, mask = images["output"], worn.float()
        error = (image - truth).abs().mean(-1)
        terms = {
            "l1": error.mean(),
            "garment": masked_mean(error, mask),
            "detail": gradient_difference(image, truth),
            "structure": structural_dissimilarity(image, truth).mean(),
        }
        flow_terms = self.flow_terms(mapped, truth, labels["output"], batch, mask)
        return total(terms, triple_guided_cnn.LOSS_WEIGHTS) + 0.3 * total(flow_terms, re_map_cnn.LOSS_WEIGHTS)

    @staticmethod
    def flow_terms(mapped, truth, labels, batch, mask):
        error = (mapped["warped"] - truth).abs().mean(-1)
        seen = mask * batch["flow_visible"].float()
        b, h, w = labels.shape
        inside = (~boundaries(labels)).reshape(b, h // 4, 4, w // 4, 4).all(4).all(2).float()
        coarse = mapped["coarse_flow"]
        rows = (coarse[:, 1:] - coarse[:, :-1]).abs().sum(-1) * inside[:, 1:] * inside[:, :-1]
        columns = (coarse[:, :, 1:] - coarse[:, :, :-1]).abs().sum(-1) * inside[:, :, 1:] * inside[:, :, :-1]
        distance = torch.linalg.norm(mapped["flow"] - batch["flow"] + 1e-6, dim=-1)
        share = mapped["mask"][..., 0].clamp(1e-4, 1 - 1e-4)
        return {
            "l1": masked_mean(error, seen),
            "tv": rows.mean() + columns.mean(),
            "flow": masked_mean(torch.sqrt(distance * distance + 1) - 1, seen),
            "mask": -(seen * share.log() + (1 - seen) * (1 - share).log()).mean(),
        }


TWINS = {"multi_path_cnn": MultiPathTwin, "triple_guided_cnn": TripleGuidedTwin}


class Trainer:
    """One twin with its optimizer: clip by the global norm, Adam with a rate of its own a step, a moving average."""

    def __init__(self, model, params, size, device, dtype, compile_, learning_rate, ema_decay):
        self.device, self.dtype = device, dtype
        self.twin = TWINS[model](size, device).to(device, memory_format=torch.channels_last)
        for name, tree in params.items():
            load_flax(getattr(self.twin, name), tree["params"])
        self.weights = list(self.twin.parameters())
        self.average = [weight.detach().clone() for weight in self.weights]
        self.optimizer = torch.optim.Adam(self.weights, learning_rate, fused=True)
        self.ema_decay = ema_decay
        self.loss = torch.compile(self.twin) if compile_ else self.twin

    def put(self, batch: dict) -> dict:
        return {name: torch.tensor(np.asarray(array), device=self.device) for name, array in batch.items()}

    def forward_flops(self, batch: dict) -> int:
        """FLOPs of the loss's convolutions and products, forward."""
        with flop_counter.FlopCounterMode(display=False) as counter, torch.no_grad():
            self.twin(batch)
        return counter.get_total_flops()

    def gradients(self, batch: dict):
        """Loss and gradient norm before clipping; the gradients, clipped, lie in the parameters."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            loss = self.loss(batch)
        loss.backward()
        return loss.detach(), nn.utils.clip_grad_norm_(self.weights, 1.0, foreach=True)

    def step(self, batch: dict, learning_rate: float):
        loss, norm = self.gradients(batch)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        torch._foreach_lerp_(self.average, [weight.detach() for weight in self.weights], 1 - self.ema_decay)
        return loss, norm
