"""The First Order Motion Model (A. Siarohin and others, "First Order Motion Model for Image Animation", NeurIPS 2019).

A detector finds K points, each with a local affine frame (its Jacobian), in the source and in a driving frame. Near
point k, what the driving frame shows at z lies in the source at

    T_k(z) = p_source,k + J_source,k J_driving,k^-1 (z - p_driving,k)                                      (equation 4)

A network weighs these K motions and the identity for every place (the dense motion), and says where the source shows
nothing of what is wanted (the occlusion). There the generator paints; elsewhere the source's pixels are moved.

What is ours is the speed: detector and dense motion look at 64x64 pixels whatever the picture's size, the generator at
128x128; the source is encoded once; the source's own pixels are warped at their full size, so that painted parts are
coarser than moved ones, and the cost grows with the size by the warp alone.

Conventions: pictures [B, H, W, 3] in [0, 1], of any size. Places are (x, y) from -1 to 1 with corners aligned, in the
paper's code as here: -1 is the centre of the first pixel, 1 that of the last one, at every size. `to_pixels` and
`from_pixels` are the door to the project's pixels, `pixel_flow` the one to `core.geometry`'s backward flows. Pictures
and maps change their size by `resample`, which keeps corners aligned too. A motion is {'points' [B, K, 2], 'jacobians'
[B, K, 2, 2]}; a Jacobian is that of the map from a reference frame, which is never seen.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry
from vton_jax.models import layers, losses

SMALL, WORKING = 64, 128  # sides at which detector and dense motion, and the generator, see pictures
VARIANCE = 0.01  # of the bumps that show points to the dense motion
TEMPERATURE = 0.1
_CONTROLS = 5  # control points a side of a random warp

# ------------------------------------------------------------------------------------------------------ the grids' door


def to_pixels(points: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Places [..., 2] from -1 to 1 -> (x, y) in pixels of a picture of `size` (height, width)."""
    return (points + 1) * (jnp.array([size[1], size[0]], jnp.float32) - 1) / 2


def from_pixels(points: jax.Array, size: tuple[int, int]) -> jax.Array:
    """The inverse of `to_pixels`."""
    return points * 2 / (jnp.array([size[1], size[0]], jnp.float32) - 1) - 1


def identity(size: tuple[int, int]) -> jax.Array:
    """The place of every pixel, [H, W, 2]."""
    return from_pixels(geometry.grid(size), size)


def pixel_flow(offsets: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Offsets [B, h, w, 2] of places -> backward flow [B, H, W, 2] in pixels of a picture of `size`."""
    return resample(offsets, size) * (jnp.array([size[1], size[0]], jnp.float32) - 1) / 2


@functools.cache
def _taps(source: int, target: int) -> np.ndarray:
    """How `target` samples of a line are made of its `source` ones, [target, source]: a triangle as wide as a step."""
    step = (source - 1) / max(target - 1, 1)
    apart = np.abs(np.arange(target)[:, None] * step - np.arange(source))
    taps = np.maximum(0, 1 - apart / max(step, 1.0))
    return np.float32(taps / taps.sum(1, keepdims=True))


def resample(maps: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Maps [B, H, W, C] at another size, corners aligned: bilinear when they grow, triangles that average when not."""
    height, width = maps.shape[1:3]
    if height != size[0]:
        maps = jnp.einsum("hi,biwc->bhwc", _taps(height, size[0]), maps)
    if width != size[1]:
        maps = jnp.einsum("wj,bhjc->bhwc", _taps(width, size[1]), maps)
    return maps


def bumps(points: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Gaussian bumps of height 1 at points [B, K, 2], [B, H, W, K]."""
    place = identity(size)
    across = jnp.exp(-0.5 * jnp.square(place[0, :, 0] - points[..., :1]) / VARIANCE)
    down = jnp.exp(-0.5 * jnp.square(place[:, 0, 1] - points[..., 1:]) / VARIANCE)
    return jnp.einsum("bkh,bkw->bhwk", down, across)


def inverse(matrices: jax.Array) -> jax.Array:
    """The inverses of matrices [..., 2, 2]; of one that has none, that of a near one."""
    (a, b), (c, d) = ((matrices[..., i, 0], matrices[..., i, 1]) for i in (0, 1))
    found = a * d - b * c
    found = jnp.where(jnp.abs(found) < 1e-3, jnp.where(found < 0, -1e-3, 1e-3), found)
    rows = jnp.stack([d, -b], -1), jnp.stack([-c, a], -1)
    return jnp.stack(rows, -2) / found[..., None, None]


def local_motions(source: dict, driving: dict, size: tuple[int, int]) -> jax.Array:
    """Where each T_k, and the identity before them, has the places of the driving frame in the source.

    Args: source, driving: motions. Returns: [B, K + 1, H, W, 2].
    """
    place = identity(size)
    turn = source["jacobians"] @ inverse(driving["jacobians"])
    apart = place - driving["points"][:, :, None, None]
    moved = jnp.einsum("bkij,bkhwj->bkhwi", turn, apart) + source["points"][:, :, None, None]
    still = jnp.broadcast_to(place, (moved.shape[0], 1, *place.shape))
    return jnp.concatenate([still, moved], 1)


# --------------------------------------------------------------------------------------------------------- the networks


class Hourglass(nn.Module):
    """A narrow U-Net [B, H, W, C] -> [B, H, W, widths[0]]; each further width halves the sides once."""

    widths: tuple[int, ...]
    kernel: int = 3
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):
        x = layers.ConvBlock(self.widths[0], kernel=self.kernel, dtype=self.dtype)(x)
        skips = []
        for width in self.widths[1:]:
            skips.append(x)
            x = layers.ConvBlock(width, stride=2, dtype=self.dtype)(x)
        x = layers.ResidualBlock(dtype=self.dtype)(x)
        for skip in skips[::-1]:
            x = layers.ConvBlock(skip.shape[-1], doubled=True, dtype=self.dtype)(x) + skip
        return x


class KeypointDetector(nn.Module):
    """A picture [B, 64, 64, 3] -> a motion: points as the mean places of softmax maps, Jacobians as their means."""

    num_points: int
    widths: tuple[int, ...]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> dict[str, jax.Array]:
        x = Hourglass(self.widths, dtype=self.dtype)(layers.space_to_depth(image.astype(self.dtype) - 0.5, 2))
        count, (height, width) = self.num_points, x.shape[1:3]
        logits = nn.Conv(count, (3, 3), dtype=self.dtype, name="heatmaps")(x).astype(jnp.float32)
        eye = lambda *_: jnp.tile(jnp.eye(2).reshape(-1), count)  # noqa: E731
        frames = nn.Conv(4 * count, (3, 3), dtype=self.dtype, kernel_init=nn.initializers.zeros, bias_init=eye,
                         name="frames")(x).astype(jnp.float32)  # fmt: skip
        heat = nn.softmax(logits.reshape(-1, height * width, count) / TEMPERATURE, 1)
        # A cell is two pixels wide: where its middle lies.
        places = from_pixels(2 * geometry.grid((height, width)) + 0.5, image.shape[1:3]).reshape(-1, 2)
        frames = frames.reshape(-1, height * width, count, 4)
        jacobians = jnp.einsum("bpk,bpkf->bkf", heat, frames).reshape(-1, count, 2, 2)
        return {"points": jnp.einsum("bpk,pi->bki", heat, places), "jacobians": jacobians}


class DenseMotion(nn.Module):
    """Motions of the source and the driving frame -> where in the source every place is found, and whether.

    Returns: {'offsets' [B, 64, 64, 2] of places, backward; 'occlusion' [B, 64, 64, 1], 1 where the source shows it;
    'weights' [B, 64, 64, K + 1] of the local motions}.
    """

    widths: tuple[int, ...]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, source_small: jax.Array, source: dict, driving: dict) -> dict[str, jax.Array]:
        size = source_small.shape[1:3]
        moved = local_motions(source, driving, size)
        heat = bumps(driving["points"], size) - bumps(source["points"], size)
        heat = jnp.concatenate([jnp.zeros_like(heat[..., :1]), heat], -1)
        images = jnp.moveaxis(warped(source_small, moved), 1, 3)  # [B, H, W, K + 1, 3]
        seen = jnp.concatenate([heat[..., None], images - 0.5], -1).reshape(*heat.shape[:3], -1)
        x = Hourglass(self.widths, kernel=1, dtype=self.dtype)(layers.space_to_depth(seen.astype(self.dtype), 2))
        channels = moved.shape[1] + 1
        out = nn.Conv(4 * channels, (3, 3), dtype=self.dtype, name="masks")(x).astype(jnp.float32)
        out = layers.depth_to_space(out, 2)
        weights = nn.softmax(out[..., :-1])
        places = jnp.einsum("bhwk,bkhwi->bhwi", weights, moved)
        return {
            "offsets": places - identity(size),
            "occlusion": nn.sigmoid(out[..., -1:] + 2),
            "weights": weights,
        }


def warped(image: jax.Array, places: jax.Array) -> jax.Array:
    """Pictures [B, H, W, C] looked up at places [B, N, h, w, 2], [B, N, h, w, C]."""
    return jax.vmap(geometry.sample)(image, to_pixels(places, image.shape[1:3]))


class Generator(nn.Module):
    """The source's features, moved, and what is painted where it shows nothing: all at 128x128 and below."""

    widths: tuple[int, ...]
    dtype: Any = jnp.float32

    def setup(self):
        first, second, third = self.widths
        block = functools.partial(layers.ConvBlock, dtype=self.dtype)
        self.fine, self.coarse = block(first), block(second, stride=2)
        self.down, self.deepest = block(third, stride=2), layers.ResidualBlock(dtype=self.dtype)
        self.up, self.middle = block(second, doubled=True), layers.ResidualBlock(dtype=self.dtype)
        self.up_again, self.last_block = block(first, doubled=True), block(first)
        self.pixels = nn.Conv(first, (1, 1), dtype=self.dtype, conv_general_dilated=layers.pointwise)
        self.last = nn.Conv(16, (3, 3), dtype=self.dtype)

    def encode(self, working: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Features of a source [B, 128, 128, 3]: [B, 64, 64, C] and [B, 32, 32, C']. Once a source."""
        fine = self.fine(layers.space_to_depth(working.astype(self.dtype) - 0.5, 2))
        return fine, self.coarse(fine)

    def __call__(self, features: tuple, working: jax.Array, dense: dict) -> dict[str, jax.Array]:
        """{'painted' [B, 128, 128, 3], 'kept' [B, 128, 128, 1]}: kept is how much of a pixel is moved, not painted.

        Args: features, working: of the source. dense: from `DenseMotion`.
        """
        flow = pixel_flow(dense["offsets"], working.shape[1:3])
        occlusion, small = dense["occlusion"], []
        for factor, one in zip((2, 4), features, strict=True):
            moved = geometry.warp(one, geometry.block_means(flow, factor) / factor)
            there = occlusion if factor == 2 else geometry.block_means(occlusion, 2)
            small.append(moved * there.astype(self.dtype))
        fine, coarse = small
        pixels = geometry.warp(jax.lax.stop_gradient(working), flow)
        hints = jnp.concatenate([layers.space_to_depth(pixels - 0.5, 2), occlusion], -1).astype(self.dtype)
        x = self.deepest(self.down(coarse))
        x = self.middle(self.up(x) + coarse)
        x = self.last_block(self.up_again(x) + fine + self.pixels(hints))
        out = layers.depth_to_space(self.last(x).astype(jnp.float32), 2)
        there = resample(occlusion, working.shape[1:3])
        return {"painted": nn.sigmoid(out[..., :3]), "kept": there * nn.sigmoid(out[..., 3:] + 2)}


class FirstOrder(nn.Module):
    """Detector, dense motion and generator. `region` says what its weights have learned."""

    num_points: int = 10
    detector_widths: tuple[int, ...] = (24, 32, 48, 64)
    motion_widths: tuple[int, ...] = (32, 48, 64)
    generator_widths: tuple[int, ...] = (16, 32, 64)
    dtype: Any = jnp.float32

    def setup(self):
        self.detector = KeypointDetector(self.num_points, self.detector_widths, self.dtype)
        self.dense = DenseMotion(self.motion_widths, self.dtype)
        self.generator = Generator(self.generator_widths, self.dtype)

    def detect(self, image: jax.Array) -> dict[str, jax.Array]:
        """The motion of pictures of any size."""
        return self.detector(resample(image, (SMALL, SMALL)))

    def encode(self, source: jax.Array) -> dict[str, Any]:
        """All that is needed of a source [B, H, W, 3], once: its motion, its features, and itself when small."""
        working = resample(source, (WORKING, WORKING))
        small = resample(source, (SMALL, SMALL))
        return {"motion": self.detector(small), "features": self.generator.encode(working), "small": small,
                "working": working}  # fmt: skip

    def move(self, encoded: dict, driving: dict) -> dict[str, jax.Array]:
        """What `DenseMotion` and `Generator` find for a driving motion: see there."""
        dense = self.dense(encoded["small"], encoded["motion"], driving)
        return dense | self.generator(encoded["features"], encoded["working"], dense)

    def __call__(self, source: jax.Array, driving: jax.Array, others: jax.Array | None = None) -> dict[str, Any]:
        """The source as the driving frame shows it, both [B, H, W, 3]: the maps of `move`, and

        'image', 'moved' [B, H, W, 3]: the result, and the source's pixels alone; 'source', 'driving', 'others': the
        motions. All pictures pass the detector together, `others` [B, 64, 64, 3] too: that is compiled once.
        """
        pictures = [resample(one, (SMALL, SMALL)) for one in (source, driving)]
        pictures += [] if others is None else [others]
        together = jnp.stack(pictures, 1)  # side by side: a batch that is spread over devices stays where it is
        found = self.detector(together.reshape(-1, *together.shape[2:]))
        motions = [jax.tree.map(lambda a, i=i: a.reshape(-1, len(pictures), *a.shape[1:])[:, i], found)
                   for i in range(len(pictures))]  # fmt: skip
        working = resample(source, (WORKING, WORKING))
        encoded = {"motion": motions[0], "features": self.generator.encode(working), "small": pictures[0],
                   "working": working}  # fmt: skip
        maps = self.move(encoded, motions[1])
        named = dict(zip(("source", "driving", "others"), motions, strict=False))
        return compose(source, maps) | maps | named


def compose(source: jax.Array, maps: dict) -> dict[str, jax.Array]:
    """The source [B, H, W, 3] moved at its full size, and what is painted laid over it: {'image', 'moved'}."""
    size = source.shape[1:3]
    moved = geometry.warp(jax.lax.stop_gradient(source), pixel_flow(maps["offsets"], size))
    painted, kept = (resample(maps[name], size) for name in ("painted", "kept"))
    return {"image": kept * moved + (1 - kept) * painted, "moved": moved}


# ----------------------------------------------------------------------------------------------------------- the losses


def random_warps(key: jax.Array, count: int, affine: float = 0.05, bend: float = 0.005) -> dict[str, jax.Array]:
    """Random thin-plate warps of `count` pictures: {'affine' [B, 2, 3], 'bend' [B, 25]}, deviations as the paper's code
    has them."""
    keys = jax.random.split(key)
    affine = affine * jax.random.normal(keys[0], (count, 2, 3)) + jnp.eye(2, 3)
    return {"affine": affine, "bend": bend * jax.random.normal(keys[1], (count, _CONTROLS**2))}


def apply_warp(warp: dict, points: jax.Array) -> jax.Array:
    """Where a warp, without its leading axis, has points [..., 2]."""
    line = jnp.linspace(-1, 1, _CONTROLS)
    controls = jnp.stack(jnp.meshgrid(line, line), -1).reshape(-1, 2)
    squares = jnp.square(points[..., None, :] - controls).sum(-1)
    bent = (warp["bend"] * squares * jnp.log(squares + 1e-6)).sum(-1, keepdims=True)
    return points @ warp["affine"][:, :2].T + warp["affine"][:, 2] + bent


def warp_jacobians(warp: dict, points: jax.Array) -> jax.Array:
    """The Jacobians [N, 2, 2] of a warp, without its leading axis, at points [N, 2]."""
    return jax.vmap(jax.jacfwd(functools.partial(apply_warp, warp)))(points)


def warp_images(warps: dict, images: jax.Array) -> jax.Array:
    """Pictures [B, H, W, C] whose pixel z shows what lies at warp(z)."""
    places = jax.vmap(apply_warp, (0, None))(warps, identity(images.shape[1:3]))
    return warped(images, places[:, None])[:, 0]


def equivariance(warps: dict, motion: dict, of_warped: dict) -> dict[str, jax.Array]:
    """{'points', 'jacobians'}: how far a detector is from following a warp (equations 10 to 12), scalars.

    Args: motion: of pictures. of_warped: of `warp_images` of them.
    """
    back = jax.vmap(apply_warp)(warps, of_warped["points"])
    turned = jax.vmap(warp_jacobians)(warps, of_warped["points"]) @ of_warped["jacobians"]
    apart = inverse(motion["jacobians"]) @ turned - jnp.eye(2)
    return {"points": jnp.abs(motion["points"] - back).mean(), "jacobians": jnp.abs(apart).mean()}


def pyramid(image: jax.Array, truth: jax.Array, distance: Callable | None = None, scales: int = 4) -> jax.Array:
    """The mean over `scales` halvings of a distance of pictures [B, H, W, 3], by default the mean absolute one."""
    found = []
    for _ in range(scales):
        found.append(jnp.abs(image - truth).mean() if distance is None else distance(image, truth))
        image, truth = (geometry.block_means(one, 2) for one in (image, truth))
    return sum(found) / scales


def loss(out: dict, truth: jax.Array, known: dict) -> dict[str, jax.Array]:
    """Terms of what `FirstOrder` gives against the driving frame [B, H, W, 3]:

    'pyramid': L1 at four sizes; 'detail': of gradients; 'structure': 1 - SSIM at half the size; 'moved': L1 of the
    moved pixels where they are kept; and where spots of a body are followed, 'flow': how far the dense motion leads
    from them.

    Args: known: {'source_points', 'driving_points' [B, P, 2], places; 'seen' [B, P]}, or nothing.
    """
    image = out["image"]
    half = [geometry.block_means(one, 2) for one in (image, truth)]
    kept = resample(jax.lax.stop_gradient(out["kept"]), truth.shape[1:3])
    terms = {
        "pyramid": pyramid(image, truth),
        "detail": losses.gradient_difference(image, truth),
        "structure": losses.structural_dissimilarity(*half).mean(),
        "moved": (jnp.abs(out["moved"] - truth) * kept).mean(),
    }
    if known:
        at = to_pixels(known["driving_points"], out["offsets"].shape[1:3])
        led = jax.vmap(geometry.sample)(out["offsets"], at) + known["driving_points"]
        apart = jnp.abs(led - known["source_points"]).sum(-1)
        terms["flow"] = losses.masked_mean(apart, known["seen"])
    return terms


LOSS_WEIGHTS = {"pyramid": 4.0, "detail": 1.0, "structure": 0.5, "moved": 1.0,
                "points": 2.0, "jacobians": 0.2, "perceptual": 1.0}  # fmt: skip
