"""What a user can ask of the mirror: one description for flags, a page and Python. No JAX."""

import dataclasses
from typing import Literal

from vton_jax.core.options import option
from vton_jax.systems.options import SystemOptions


@dataclasses.dataclass(frozen=True)
class MirrorOptions(SystemOptions):
    """Which garments, before which camera, and where it is shown."""

    garment: str | tuple[str, ...] | None = option(
        None,
        "Picture of the garment, laid flat or worn; up to nine, with commas between or the flag given again: each is "
        "worn alone, and the keys 1 to 9 choose. Default: the packaged sample.",
    )
    camera: str = option("0", "The camera's number, or a clip that is played as a camera: the newest frame only.")
    garment_type: Literal["auto", "upper", "lower", "dress", "outfit"] = option(
        "auto", "What is exchanged; auto: a flat garment's own kind, a worn one's whole outfit."
    )
    garment_is: Literal["auto", "flat", "person"] = option("auto", "How the garments are shown; auto: look.")
    remap: Literal["none", "post", "pre", "joint"] = option("post", "The arm, see render.py.")
    flip: bool = option(False, "Begin mirrored, left for right, as a mirror on the wall shows; the key m changes it.")
    smooth: bool = option(
        True, "Mix each frame with the one before it, moved along, where that is not long ago: it flickers less."
    )
    display: Literal["window", "none"] = option("window", "Where the mirror is shown.")
    virtual_camera: bool = option(False, "Also send it to a virtual camera (extra live).")
    seconds: float = option(0.0, "End after so many seconds (0: never).", lower_bound=0)
    max_side: int = option(640, "Frames are shrunk to this longer side.", lower_bound=64)
