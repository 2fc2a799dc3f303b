"""What flows between the rooms of the try-on path: small structs, leading axes free ([], [B], [B, T]).

Fields carry no shape annotations that a checker would enforce: `eval_shape`, `vmap` axes and PartitionSpecs put other
things than arrays into them (design.md, fact 18).
"""

from typing import Any

import flax.struct


@flax.struct.dataclass
class Layout:
    """Where the parts of a person (or of a garment lying flat) are in one picture."""

    segmentation: Any  # integer label ids [..., H, W], see segmentation.py
    keypoints: Any  # float [..., 18, 2], (x, y) in pixels, see keypoints.py
    visible: Any  # bool [..., 18]
