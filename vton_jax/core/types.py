"""What flows between the packages of the try-on path: small structs, leading axes free ([], [B], [B, T]).

Fields carry no shape annotations that a checker would enforce: `eval_shape`, `vmap` axes and PartitionSpecs put other
things than arrays into them.
"""

import dataclasses
from typing import Any

import flax.struct


@flax.struct.dataclass
class Layout:
    """Where the parts of a person (or of a garment lying flat) are in one picture."""

    segmentation: Any  # integer label ids [..., H, W], see segmentation.py
    keypoints: Any  # float [..., 18, 2], (x, y) in pixels, see keypoints.py
    visible: Any  # bool [..., 18]


@flax.struct.dataclass
class Backdrop:
    """A photo without its person: what lay behind them is made up."""

    picture: Any  # float [H, W, 3] in [0, 1]
    hole: Any  # float [H, W], 1 where it is made up
    flow: Any  # float [H, W, 2], from there to the pixel of the photo that is copied
    copied: Any  # float [H, W], how much of each pixel is


@flax.struct.dataclass
class User:
    """The person to be dressed, as one photo shows them."""

    image: Any  # float [H, W, 3] in [0, 1]
    layout: Layout
    latent: Any  # float [N], of the forward procedure
    shown: Any  # bool [H, W], what of the image is the photo's own; the rest is made up
    backdrop: Backdrop | None = None  # None leaves the network's background


@flax.struct.dataclass
class Pose:
    """What one picture, or each frame of a clip, says of a pose."""

    layout: Layout
    latent: Any  # float [N], of the forward procedure
    usable: Any = None  # bool [], whether the picture shows somebody; None: it does


@flax.struct.dataclass
class Garment:
    """A garment to be put on: its picture with everything else white, its layout, and what it is."""

    image: Any  # float [H, W, 3], I'_donor
    layout: Layout  # the whole picture's layout
    garment_type: Any  # int32 [], index in segmentation.GARMENT_TYPES
    flat: Any  # bool []
    tuck: Any = None  # int32 [], how it meets what is worn above or below, index in tucking.TUCKS; None: as they fall
    sleeves: Any = None  # float [2], between which places down the arm (0..2) they end; None: as its layout says


@flax.struct.dataclass
class Dressed:
    """What the networks of an arm make of final maps, and where it comes from."""

    image: Any  # float [T, H, W, 3] in [0, 1]
    labels: Any  # uint8 [T, H, W], the final maps
    flow: Any  # float [T, H, W, 2], zero in the arm `none`
    photo_weight: Any  # float [T, H, W], how much of each pixel is copied from the photo at its place
    garment_weight: Any  # float [T, H, W], how much of it is the donor's picture, warped by `flow`
    photo_flow: Any  # float [T, H, W, 2], where in the photo that comes from which lies elsewhere there
    moved_weight: Any  # float [T, H, W], how much of each pixel is the photo, warped by `photo_flow`
    besides: Any = ()  # (flow, weight), as `flow` and `garment_weight`, of every garment but the first
    hands: Any = flax.struct.field(pytree_node=False, default=())  # `drawn_hands.Place` of one frame's drawn ones


@dataclasses.dataclass(frozen=True)
class Target:
    """One frame's target layout and the way to it, NumPy."""

    coarse: Any  # uint8 [H, W] with UNKNOWN
    final: Any  # uint8 [H, W]
    errors: Any  # Err after every iteration [iterations], of a clip of the frame that was searched last
    steps: dict[str, Any]  # the eight steps, uint8 [H, W] each


@dataclasses.dataclass(frozen=True)
class Result:
    """One frame's result and its target layout."""

    dressed: Dressed  # without the leading axis
    target: Target

    @property
    def image(self) -> Any:
        """The picture, float [H, W, 3] in [0, 1]."""
        return self.dressed.image
