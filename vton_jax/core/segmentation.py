"""Label maps: the table of labels, one-hot maps and region masks. Other tables: label_tables.py.

Conventions: a `segmentation` is an integer array [..., H, W] of label ids in ATR's table of 18 (`LABELS`). Soft maps
are floats in [0, 1] of shape [..., H, W, 18] and exist only at a network's mouth. `UNKNOWN` (255) marks pixels that
nobody has claimed; it is never fed to a network and carries weight 0 in losses.

Left and right are the person's own.
"""

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry

LABELS = (
    "background", "hat", "hair", "sunglasses", "upper-clothes", "skirt", "pants", "dress", "belt", "left-shoe",
    "right-shoe", "face", "left-leg", "right-leg", "left-arm", "right-arm", "bag", "scarf",
)  # fmt: skip
NUM_LABELS = len(LABELS)
UNKNOWN = 255
ID = {name: index for index, name in enumerate(LABELS)}

# One colour a label, chosen to keep neighbours on a body apart; used in every picture people see.
PALETTE = np.array(
    [
        (255, 255, 255), (128, 0, 0), (92, 58, 30), (60, 60, 60), (230, 85, 40), (130, 90, 200), (40, 95, 180),
        (235, 60, 130), (120, 120, 40), (30, 30, 90), (60, 20, 100), (255, 205, 160), (110, 190, 120), (60, 140, 90),
        (120, 200, 225), (60, 150, 190), (200, 200, 0), (0, 128, 128),
    ],
    dtype=np.uint8,
)  # fmt: skip
UNKNOWN_COLOUR = np.array((150, 150, 150), dtype=np.uint8)

HAIR = (ID["hat"], ID["hair"])
FACE = (ID["face"], ID["sunglasses"])
UPPER = (ID["upper-clothes"], ID["scarf"])
LOWER = (ID["skirt"], ID["pants"], ID["belt"])
DRESS = (ID["dress"],)
GARMENTS = UPPER + LOWER + DRESS
ARMS = (ID["left-arm"], ID["right-arm"])
LEGS = (ID["left-leg"], ID["right-leg"])
SHOES = (ID["left-shoe"], ID["right-shoe"])

# What a garment type covers on the donor, what it replaces on the user, and what shows it in a target layout. A dress
# is one piece, an outfit all that is worn but a scarf, which like a hat or a bag is nobody's to give and comes off for
# nothing. Where either is given nothing else is worn, whatever a decoder calls it.
GARMENT_TYPES = ("upper", "lower", "dress", "outfit")
_TOP, _ALL = (ID["upper-clothes"],), tuple(label for label in GARMENTS if label != ID["scarf"])
GARMENT_LABELS = {"upper": _TOP, "lower": LOWER, "dress": DRESS, "outfit": _ALL}
REPLACED_LABELS = {"upper": _TOP + DRESS, "lower": LOWER + DRESS, "dress": _ALL, "outfit": _ALL}
TARGET_LABELS = GARMENT_LABELS | {"dress": _ALL}

# A mirrored left arm is a right arm.
MIRROR = np.array(
    [ID[n.replace("left", "#").replace("right", "left").replace("#", "right")] for n in LABELS], dtype=np.uint8
)


def one_hot(segmentation: jax.Array) -> jax.Array:
    """Label ids [..., H, W] -> float maps [..., H, W, 18]; `UNKNOWN` becomes all zeros."""
    return jax.nn.one_hot(segmentation, NUM_LABELS)


def region(segmentation, labels):
    """Mask [..., H, W] (bool) of the pixels whose label is one of `labels`; NumPy in, NumPy out."""
    library = np if isinstance(segmentation, np.ndarray) else jnp
    mask = library.zeros(segmentation.shape, dtype=bool)
    for label in labels:
        mask = mask | (segmentation == label)
    return mask


def bit_set(labels) -> int:
    """A set of labels as the bits of an integer, for `in_bit_set`."""
    return sum(1 << int(label) for label in set(labels))


def in_bit_set(segmentation: jax.Array, bits) -> jax.Array:
    """`region` of a set that is data: whether label ids (0..31) are in `bits`; cheaper than a table on CPUs."""
    return ((bits >> segmentation) & 1).astype(bool)


def mirror(segmentation: np.ndarray) -> np.ndarray:
    """Mirrors a label map [..., H, W] left to right and exchanges left and right names. `UNKNOWN` stays."""
    table = np.arange(256, dtype=np.uint8)
    table[:NUM_LABELS] = MIRROR
    return table[np.asarray(segmentation, dtype=np.uint8)[..., ::-1]]


def scarf_as_top(labels):
    """Label ids whose scarves are a part of the top below them; NumPy in, NumPy out."""
    where = np.where if isinstance(labels, np.ndarray) else jnp.where
    return where(labels == ID["scarf"], labels.dtype.type(ID["upper-clothes"]), labels)


def fill_from_nearest(values: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Labels [H, W], or a picture [H, W, C], with the value of the nearest pixel that is not in `unknown` (bool [H, W])
    in its place. NumPy.

    All is 0, the background, where everything is unknown.
    """
    # The distances are those of a 5x5 mask: OpenCV has no others where it names the nearest pixel.
    _, nearest = cv2.distanceTransformWithLabels(
        unknown.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Every known pixel carries a number of its own; read its value back through that number.
    table = np.zeros((nearest.max() + 1, *values.shape[2:]), values.dtype)
    table[nearest[~unknown]] = values[~unknown]
    return table[nearest]


def boundaries(segmentation: jax.Array) -> jax.Array:
    """Mask [..., H, W] (bool) of pixels with a 4-neighbour of another label, on either side of the boundary."""
    rows = segmentation[..., 1:, :] != segmentation[..., :-1, :]
    columns = segmentation[..., :, 1:] != segmentation[..., :, :-1]
    lead = [(0, 0)] * (segmentation.ndim - 2)
    return (
        jnp.pad(rows, lead + [(0, 1), (0, 0)])
        | jnp.pad(rows, lead + [(1, 0), (0, 0)])
        | jnp.pad(columns, lead + [(0, 0), (0, 1)])
        | jnp.pad(columns, lead + [(0, 0), (1, 0)])
    )


def soft_maps(segmentation: jax.Array, factor: int) -> jax.Array:
    """Label ids [..., H, W] -> fractions of each label [..., H/factor, W/factor, 18] in blocks of factor x factor."""
    return geometry.block_means(one_hot(segmentation), factor)
