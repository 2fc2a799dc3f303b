"""How near drawn people come to photographed ones: people cut out, features of them, and where both come from.

Conventions: a frame is a picture uint8 [H, W, 3] with the mask bool [H, W] of its person. A cut-out is float32
[256, 192, 3] in [0, 1]: the person alone on grey, `HEIGHT` pixels tall, in the middle, whatever was behind.
"""

import functools
import itertools
from collections.abc import Iterable, Iterator

import jax
import numpy as np

from vton_jax.catalogue import examples
from vton_jax.core import framing
from vton_jax.core.batching import in_batches
from vton_jax.inputs import ccp
from vton_jax.models import lpips

SIZE = (256, 192)
HEIGHT = 232  # nine tenths of the frame, as tall as people are in the photos
DRAWN_SIZE = (336, 256)  # seven tenths of whose height are `HEIGHT`: hardly anybody is enlarged, which would blur
GREY = 0.5
BLOCKS = {"kid": 3, "kid_block2": 1}  # result: index in the layers that LPIPS compares
FRAMING = (
    f"people whose mask touches no edge of their picture, cut out by their label maps, {HEIGHT} pixels tall on grey in "
    f"{SIZE[0]}x{SIZE[1]}"
)
_BATCH = 8

Frame = tuple[np.ndarray, np.ndarray]


# --------------------------------------------------------------------------------------------------- where people are


def photographed(folder: str, numbers: Iterable[str]) -> Iterator[Frame]:
    """The photos of Clothing Co-Parsing with these numbers; a person is all that is not `null`."""
    for photo, labels in (ccp.read(folder, number) for number in numbers):
        yield photo, labels > 0


def catalogue() -> Iterator[Frame]:
    """The users of the catalogue's try-on examples in their new garments: split `test`, the first of each."""
    for user in itertools.count():
        example = examples.draw(user * examples.EXAMPLES_OF_ONE, "test", DRAWN_SIZE)
        yield example["output_image"], example["output_segmentation"] > 0


# ------------------------------------------------------------------------------------------------------------ cut-outs


def is_whole(mask: np.ndarray) -> bool:
    """Whether there is a person who touches no edge of the picture."""
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return bool(mask.any() and not any(edge.any() for edge in edges))


def cut_out(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The cut-out of a frame. Grey is laid behind the person before the size changes, so that no ground shines through
    at the edges; arms that reach beyond the frame are cut off."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    alone = np.where(mask[box][..., None], framing.to_float(image[box]), np.float32(GREY))
    width = max(1, round(alone.shape[1] * HEIGHT / alone.shape[0]))
    alone = framing.resize(alone, (HEIGHT, width))
    cut = max(0, width - SIZE[1]) // 2
    alone = alone[:, cut : cut + SIZE[1]]
    frame = np.full((*SIZE, 3), GREY, np.float32)
    top, left = ((outer - inner) // 2 for outer, inner in zip(SIZE, alone.shape, strict=False))
    frame[top : top + alone.shape[0], left : left + alone.shape[1]] = alone
    return frame


def take(frames: Iterable[Frame], count: int) -> tuple[np.ndarray, int]:
    """The first `count` whole people, or as many as there are.

    Returns: cut-outs [N, 256, 192, 3], N <= count, and how many frames were looked at.
    """
    found, seen = [], 0
    for seen, (image, mask) in enumerate(frames, 1):  # noqa: B007  (how far it came counts)
        if is_whole(mask):
            found.append(cut_out(image, mask))
        if len(found) == count:
            break
    return np.reshape(found, (-1, *SIZE, 3)).astype(np.float32), seen


# ------------------------------------------------------------------------------------------------------------ features


@jax.jit
def _pooled(network: lpips.Lpips, images: jax.Array) -> dict[str, jax.Array]:
    maps = network.features(images)
    return {name: maps[layer].mean((1, 2)) for name, layer in BLOCKS.items()}


def features(network: lpips.Lpips, images: np.ndarray) -> dict[str, np.ndarray]:
    """Means over all places of VGG16's features at the end of its blocks 4 and 2 (ReLU 4_3 and 2_2).

    Args: network: VGG16's. images: [N, 256, 192, 3]. Returns: {'kid': [N, 512], 'kid_block2': [N, 128]}, unscaled.
    """
    return in_batches(functools.partial(_pooled, network), images, _BATCH, full=True)
