"""PyTorch twins of MultiPathCNN and of TripleGuidedCNN with ReMapCNN (arm `joint`): losses and train step.

They compute the same functions as `vton_jax.tasks` do, with the networks of torch_networks.py, and
`benchmarks/train_step.py` compares losses and gradients before it times anything. Written as a PyTorch user would write
them for speed: channels_last, fused Adam, `grid_sample`, `scaled_dot_product_attention`, autocast. Layouts are the
truth's (`--layouts=truth`).
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils import flop_counter

from benchmarks.torch_networks import MultiPathCNN, ReMapCNN, TripleGuidedCNN, inner, load_flax, outer, warp
from vton_jax.core import segmentation
from vton_jax.models import multi_path_cnn, re_map_cnn, triple_guided_cnn
from vton_jax.warping import blending

PEOPLE = ("input", "donor", "output")


# --- losses ----------------------------------------------------------------------------------------------------------


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
        types = np.arange(len(segmentation.GARMENT_TYPES))
        every = np.broadcast_to(np.arange(256), (len(types), 1, 256))
        masks = (np.asarray(of(every, types))[:, 0] for of in (blending.garment_mask, blending.target_mask))
        self.donated, self.worn = (torch.tensor(mask, device=device) for mask in masks)

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
        donated = self.donated[garment, labels["donor"]]
        worn = self.worn[garment, labels["output"]]
        dress = torch.where(donated[..., None], images["donor"], 1.0)
        s_input, s_output = one_hot(labels["input"]), one_hot(labels["output"])
        s_dress = one_hot(torch.where(donated, labels["donor"], 0))
        poses = [self.pose(batch, p, batch["donor_flat"], size) for p in ("donor", "output")]
        mapped = self.re_map_cnn(dress, s_dress, s_output, *poses)

        cloth = 1 - s_dress[..., :1]
        mean = (dress * cloth).sum((1, 2), keepdim=True) / cloth.sum((1, 2), keepdim=True).clamp(min=1.0)
        inside = worn[..., None].float()
        trusted = mapped["mask"] * warp(cloth, mapped["flow"])
        placed = inside * (trusted * mapped["warped"] + (1 - trusted) * mean) + (1 - inside)
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
        probability = mapped["mask"][..., 0].clamp(1e-4, 1 - 1e-4)
        return {
            "l1": masked_mean(error, seen),
            "tv": rows.mean() + columns.mean(),
            "flow": masked_mean(torch.sqrt(distance * distance + 1) - 1, seen),
            "mask": -(seen * probability.log() + (1 - seen) * (1 - probability).log()).mean(),
        }


TWINS = {"multi_path_cnn": MultiPathTwin, "triple_guided_cnn": TripleGuidedTwin}


class Trainer:
    """One twin with its optimizer: clip by the global norm, Adam with a rate of its own a step, a moving average."""

    def __init__(self, model, params, size, device, *, dtype, compile_, learning_rate, ema_decay):
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
