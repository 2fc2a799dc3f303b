"""What a user can ask of a try-on, with its defaults: one description for flags, a page and Python. Imports no JAX."""

import dataclasses
from typing import Literal

from vton_jax.core.options import option

Arm = Literal["none", "post", "pre", "joint"]
ARM_NAMES: tuple[str, ...] = ("none", "post", "pre", "joint")


@dataclasses.dataclass(frozen=True)
class ReaderOptions:
    """How pictures are read."""

    weights: str | None = option(None, "Folder of other weights than the released ones.")


@dataclasses.dataclass(frozen=True)
class SolverOptions:
    """How the backward procedure searches."""

    solver: Literal["adam", "lbfgs", "gauss_newton"] = option(
        "gauss_newton",
        "Of the backward procedure of lab126: gauss_newton (L-BFGS in coordinates of the decoder's mean Gauss-Newton "
        "matrix), lbfgs (in those of the latents' covariance) or adam.",
    )


@dataclasses.dataclass(frozen=True)
class SystemOptions(SolverOptions, ReaderOptions):
    """Which system, and how it is set up."""

    system: str = option("lab126", "The try-on system: a name in vton_jax.systems.SYSTEMS.")
    remap: Literal["auto", "none", "post", "pre", "joint"] = option(
        "auto",
        "The arm: ReMapCNN not at all, after TripleGuidedCNN, before it, or trained jointly; auto: after, which "
        "keeps patterns best.",
    )
    layout: Literal["refined", "backward"] = option(
        "refined",
        "How lab126 finds the layout that it paints into: refined (a network says what the coarse map should have "
        "become) or backward (the talk's backward procedure fills what the coarse map leaves open).",
    )


@dataclasses.dataclass(frozen=True)
class PictureOptions:
    """Whose pictures, and how they are read."""

    person: str | None = option(
        None,
        "Photo of the person to dress, from head to foot, or a clip of them: then every frame is dressed in its own "
        "pose. Default: the packaged sample.",
    )
    garment: str | tuple[str, ...] | None = option(
        None,
        "Picture of the garment, laid flat or worn; none: the person's own clothes. Given twice, an upper and a lower "
        "garment are worn together; of pictures of people, the first lends the half that no other brings. Default: "
        "the packaged sample.",
    )
    pose: str | None = option(None, "Photo or clip of the poses. Default: the sample's clip, or the person's own pose.")
    garment_type: Literal["auto", "upper", "lower", "dress", "outfit"] = option(
        "auto",
        "What is exchanged: dress is a one-piece dress, outfit all that is worn; auto: a flat garment's own kind, a "
        "worn one's whole outfit.",
    )
    tuck: Literal["auto", "in", "over"] = option(
        "auto",
        "Whether an upper garment goes into trousers or skirt (in) or hangs over them (over; one that was photographed "
        "tucked in is made as long as that); auto: as far down as its picture shows it. Of lab126.",
    )
    garment_is: Literal["auto", "flat", "person"] = option("auto", "How the garment is shown; auto: look.")
    person_box: str | None = option(
        None,
        "Where in the photo the person is: left,top,right,bottom in parts of its width and height, 0.5,0,1,1 for the "
        "right half. Nothing else of it is read or shown, but a result as large as the photo is put back into it.",
    )
    garment_box: str | tuple[str, ...] | None = option(
        None, "The same of the garment's picture; given twice, of the first and of the second (empty: all of it)."
    )
    garment_mask: str | tuple[str, ...] | None = option(
        None,
        "Picture that is white where the garment's picture shows the garment, and black elsewhere, in place of what is "
        "found there; given twice, of the first and of the second (empty: look).",
    )
    framing: Literal["auto", "photo", "pose"] = option(
        "auto",
        "Where the person stands in the clip: photo (where the photo shows them; people are brought to the size that "
        "the networks know and put back) or pose (photo and poses fill the frame as they are); auto: "
        "photo.",
    )


@dataclasses.dataclass(frozen=True)
class JobOptions(PictureOptions, SystemOptions):
    """Everything that a try-on clip depends on."""

    num_frames: int | None = option(
        None, "Frames at most. Default: 48 of a pose clip, all of a clip of the person.", lower_bound=1
    )
    painted_rate: float = option(
        10.0,
        "Frames a second of a pose clip that are read and painted, at least; those between two of them move along the "
        "flow from one to the other. 0: every frame is painted.",
        lower_bound=0,
    )
    background: Literal["inpaint", "network"] = option(
        "inpaint", "Behind the person: the photo's background, filled in, or what the networks leave."
    )
    temporal_filter: Literal["motion", "gaussian", "none"] = option("motion", "How the clip is smoothed over time.")
    output_size: str | None = option(
        None,
        "HEIGHTxWIDTH of the clip, or photo: as the photo. Default: the networks', of a picture (.png, .jpg) the "
        "photo's, of a clip of the person its own.",
    )


@dataclasses.dataclass(frozen=True)
class InvertOptions(PictureOptions, SolverOptions, ReaderOptions):
    """What is asked of the backward procedure on one frame."""

    present: Literal["layout", "image"] = option(
        "layout",
        "What is presented at the decoder's output: the coarse layout in the pose, or the photo itself with the "
        "garment laid onto it.",
    )
    frame: int | None = option(None, "Frame of a pose clip. Default: a third of the way in.", lower_bound=0)
    num_iterations: int = option(80, "Iterations at most.", lower_bound=1)
