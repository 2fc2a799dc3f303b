"""Other tables of labels: those of data sets, with the way to ours, and the merged classes of scores.

Conventions: ids are indices in a table; "here" is ATR's table, `segmentation.LABELS`.
"""

import numpy as np

from vton_jax.core.segmentation import ID, LABELS, NUM_LABELS, UNKNOWN

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


def merged(segmentation: np.ndarray) -> np.ndarray:
    """Label ids [...] -> ids in `MERGED_LABELS`; `UNKNOWN` becomes -1, which equals no class."""
    table = np.full(256, -1, dtype=np.int32)
    table[:NUM_LABELS] = MERGED_FROM_LABEL
    return table[np.asarray(segmentation, dtype=np.uint8)]
