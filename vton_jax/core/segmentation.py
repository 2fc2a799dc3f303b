"""Label maps: the table of labels, mappings between tables, one-hot maps and region masks.

Alphabet: a `segmentation` is an integer array [..., H, W] of label ids in ATR's table of 18 (`LABELS`). Soft maps are
floats in [0, 1] of shape [..., H, W, 18] and exist only at a network's mouth. `UNKNOWN` (255) marks pixels that
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
# is one piece, an outfit all that is worn. Where either is given nothing else is worn, whatever a decoder calls it.
GARMENT_TYPES = ("upper", "lower", "dress", "outfit")
GARMENT_LABELS = {"upper": UPPER, "lower": LOWER, "dress": DRESS, "outfit": GARMENTS}
REPLACED_LABELS = {"upper": UPPER + DRESS, "lower": LOWER + DRESS, "dress": GARMENTS, "outfit": GARMENTS}
TARGET_LABELS = GARMENT_LABELS | {"dress": GARMENTS}

# The fixed table of merged classes over which every `miou` is averaged.
MERGED_LABELS = (
    "background", "hair", "face", "arms", "legs", "upper-clothes", "skirt", "trousers", "dress", "shoes",
)  # fmt: skip
_MERGED = {
    "background": 0, "hat": 1, "hair": 1, "sunglasses": 2, "upper-clothes": 5, "skirt": 6, "pants": 7, "dress": 8,
    "belt": 7, "left-shoe": 9, "right-shoe": 9, "face": 2, "left-leg": 4, "right-leg": 4, "left-arm": 3,
    "right-arm": 3, "bag": 0, "scarf": 5,
}  # fmt: skip
MERGED_FROM_LABEL = np.array([_MERGED[name] for name in LABELS], dtype=np.int32)

# LIP's table of 20 (VITON and many parsers): id there -> label here.
LIP_LABELS = (
    "background", "hat", "hair", "glove", "sunglasses", "upper-clothes", "dress", "coat", "socks", "pants",
    "jumpsuits", "scarf", "skirt", "face", "left-arm", "right-arm", "left-leg", "right-leg", "left-shoe",
    "right-shoe",
)  # fmt: skip
_LIP_RENAMED = {"glove": "left-arm", "coat": "upper-clothes", "socks": "left-leg", "jumpsuits": "dress"}
LABEL_FROM_LIP = np.array([ID[_LIP_RENAMED.get(name, name)] for name in LIP_LABELS], dtype=np.uint8)
# CIHP's table is LIP's but for 10, where it has the skin of neck and chest. VITON's later parses and VITON-HD's use it,
# and the jumpsuits of the older VITON ones are not worn there.
LABEL_FROM_CIHP = LABEL_FROM_LIP.copy()
LABEL_FROM_CIHP[LIP_LABELS.index("jumpsuits")] = ID["face"]
# The colours that LIP and CIHP are usually drawn in, for label maps that were saved as coloured pictures.
LIP_PALETTE = np.array(
    [
        (0, 0, 0), (128, 0, 0), (255, 0, 0), (0, 85, 0), (170, 0, 51), (255, 85, 0), (0, 0, 85), (0, 119, 221),
        (85, 85, 0), (0, 85, 85), (85, 51, 0), (52, 86, 128), (0, 128, 0), (0, 0, 255), (51, 170, 221), (0, 255, 255),
        (85, 255, 170), (170, 255, 85), (255, 255, 0), (255, 170, 0),
    ],
    dtype=np.uint8,
)  # fmt: skip
# PF-AFN's label maps of VITON: of their 14 labels, only these are documented.
LABEL_FROM_PF_AFN = np.full(14, UNKNOWN, np.uint8)
LABEL_FROM_PF_AFN[[0, 4]] = ID["background"], ID["upper-clothes"]

# Clothing Co-Parsing's table of 59 (W. Yang, P. Luo, L. Lin, CVPR 2014): id there -> label here. Its `skin` knows no
# limbs and its footwear no sides: they are UNKNOWN in this table, and `reading.skin` tells them apart by a pose.
# Leg-wear counts as pants, and jewellery, which has no label here, as a bag: both are carried over the skin.
CCP_LABELS = (
    "null", "accessories", "bag", "belt", "blazer", "blouse", "bodysuit", "boots", "bra", "bracelet", "cape",
    "cardigan", "clogs", "coat", "dress", "earrings", "flats", "glasses", "gloves", "hair", "hat", "heels", "hoodie",
    "intimate", "jacket", "jeans", "jumper", "leggings", "loafers", "necklace", "panties", "pants", "pumps", "purse",
    "ring", "romper", "sandals", "scarf", "shirt", "shoes", "shorts", "skin", "skirt", "sneakers", "socks",
    "stockings", "suit", "sunglasses", "sweater", "sweatshirt", "swimwear", "t-shirt", "tie", "tights", "top", "vest",
    "wallet", "watch", "wedges",
)  # fmt: skip
_CCP_GROUPS = {
    "background": ("null",),
    "hat": ("hat",),
    "hair": ("hair",),
    "sunglasses": ("glasses", "sunglasses"),
    "upper-clothes": (
        "blazer", "blouse", "bodysuit", "bra", "cape", "cardigan", "coat", "hoodie", "intimate", "jacket", "jumper",
        "shirt", "suit", "sweater", "sweatshirt", "swimwear", "t-shirt", "top", "vest",
    ),
    "skirt": ("skirt",),
    "pants": ("jeans", "leggings", "panties", "pants", "shorts", "socks", "stockings", "tights"),
    "dress": ("dress", "romper"),
    "belt": ("belt",),
    "bag": ("accessories", "bag", "bracelet", "earrings", "gloves", "necklace", "purse", "ring", "wallet", "watch"),
    "scarf": ("scarf", "tie"),
}  # fmt: skip
LABEL_FROM_CCP = np.full(len(CCP_LABELS), UNKNOWN, np.uint8)
for _label, _names in _CCP_GROUPS.items():
    for _name in _names:
        LABEL_FROM_CCP[CCP_LABELS.index(_name)] = ID[_label]
CCP_SKIN = CCP_LABELS.index("skin")
CCP_FOOTWEAR = tuple(
    CCP_LABELS.index(name)
    for name in (
        "boots", "clogs", "flats", "heels", "loafers", "pumps", "sandals", "shoes", "sneakers", "wedges",
    )
)  # fmt: skip

# What CCP can tell apart, merged to ten classes, from its own ids and from ours: the classes of every `ccp.miou`.
CCP_MERGED_LABELS = (
    "null", "hat", "hair", "upper", "skirt", "trousers", "dress", "footwear", "skin", "other",
)  # fmt: skip
_CCP_MERGED = {
    "background": "null", "hat": "hat", "hair": "hair", "sunglasses": "other", "upper-clothes": "upper",
    "skirt": "skirt", "pants": "trousers", "dress": "dress", "belt": "other", "left-shoe": "footwear",
    "right-shoe": "footwear", "face": "skin", "left-leg": "skin", "right-leg": "skin", "left-arm": "skin",
    "right-arm": "skin", "bag": "other", "scarf": "other",
}  # fmt: skip
CCP_MERGED_FROM_LABEL = np.array([CCP_MERGED_LABELS.index(_CCP_MERGED[name]) for name in LABELS], dtype=np.int32)
CCP_MERGED_FROM_CCP = np.append(CCP_MERGED_FROM_LABEL, CCP_MERGED_LABELS.index("footwear"))[
    np.minimum(LABEL_FROM_CCP, NUM_LABELS)
]
CCP_MERGED_FROM_CCP[CCP_SKIN] = CCP_MERGED_LABELS.index("skin")

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


def merged(segmentation: np.ndarray) -> np.ndarray:
    """Label ids [...] -> ids in `MERGED_LABELS`; `UNKNOWN` becomes -1, which equals no class."""
    table = np.full(256, -1, dtype=np.int32)
    table[:NUM_LABELS] = MERGED_FROM_LABEL
    return table[np.asarray(segmentation, dtype=np.uint8)]


def fill_from_nearest(labels: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Labels uint8 [H, W] with the nearest label that is not in `unknown` (bool [H, W]) in its place. NumPy.

    All is background where everything is unknown.
    """
    # The distances are those of a 5x5 mask: OpenCV has no others where it names the nearest pixel.
    _, nearest = cv2.distanceTransformWithLabels(
        unknown.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Every known pixel carries a number of its own; read its label back through that number.
    table = np.zeros(nearest.max() + 1, dtype=np.uint8)
    table[nearest[~unknown]] = labels[~unknown]
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
    """Label ids [..., H, W] -> shares of each label [..., H/factor, W/factor, 18] in blocks of factor x factor."""
    return geometry.block_means(one_hot(segmentation), factor)
