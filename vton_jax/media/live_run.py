"""A live run from beginning to end: a camera, a loop, and all that its results go to.

Conventions: see `live.py`.
"""

import contextlib
import dataclasses
from pathlib import Path

from vton_jax.media import live, recording

RATE = 25.0  # frames a second that a virtual camera promises


@dataclasses.dataclass(frozen=True)
class Shown:
    """Where results go. Args: display: of `live.DISPLAYS`. output: a recording, see `recording.Recording`."""

    title: str
    display: str = "window"
    virtual_camera: bool = False
    output: Path | None = None


def run(
    loop: live.Loop, camera: live.Camera, shown: Shown, size: tuple[int, int], most_seconds: float = 0.0
) -> live.Timing:
    """Runs a loop, whose displays and recording are those of `shown`, and closes all of it.

    Args: size: of the results. most_seconds: 0: until camera or user end it. Raises: UserError where one of them cannot
    be opened, and what the loop raises.
    """
    with contextlib.ExitStack() as stack:
        stack.callback(camera.close)
        display = stack.enter_context(contextlib.closing(live.open_display(shown.display, shown.title)))
        also = ()
        if shown.virtual_camera:
            also = (stack.enter_context(contextlib.closing(live.VirtualCamera(size, RATE))),)
        record = None if shown.output is None else stack.enter_context(recording.Recording(shown.output))
        loop = dataclasses.replace(loop, display=display, also_show=also, record=record.add if record else None)
        return loop.run(camera, most_seconds or float("inf"))
