"""What a user can ask when a picture is brought to life: one description for flags, a page and Python. No JAX."""

import dataclasses
from typing import Literal

from vton_jax.core.options import option


@dataclasses.dataclass(frozen=True)
class DriveOptions:
    """Whose picture moves like whom, and where it is shown."""

    source: str | None = option(
        None, "Photo of a face or a body; several of them with commas between, for the keys 1 to 9; a clip: its first "
        "frame. Default: a packaged picture.",
    )  # fmt: skip
    driving: str | None = option(
        None, "A clip whose face or body moves, camera or camera:N, or a motion (.npz) that --save_motion wrote."
    )
    motion: Literal["relative", "absolute"] = option(
        "relative",
        "relative: movement since a reference frame, by which the source keeps its own proportions and turns less; "
        "absolute: poses as they are, and the driving person's proportions with them.",
    )
    region: Literal["auto", "face", "body"] = option("auto", "What of the source is driven.")
    paste_back: bool = option(True, "Put the result back into the whole photo; else its square alone.")
    side_by_side: bool = option(False, "Show the driving frames beside the result.")
    live: bool = option(False, "Play the driving clip as a camera: the newest frame only, as with a camera.")
    display: Literal["window", "none"] = option("window", "Where live results are shown.")
    virtual_camera: bool = option(False, "Also send live results to a virtual camera (extra live).")
    seconds: float = option(0.0, "End a live run after so many seconds (0: never).", lower_bound=0)
    save_motion: str | None = option(None, "Also write the driving motion to this file (.npz), to be replayed.")
    max_side: int = option(1280, "Photos and clips are shrunk to this longer side.", lower_bound=64)
    weights: str | None = option(None, "Folder of other weights than the released ones.")
