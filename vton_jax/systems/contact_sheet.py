"""The contact sheet of a try-on: what went in, and for some frames what came of it, step by step."""

import numpy as np

from vton_jax.core import framing
from vton_jax.core.types import Result
from vton_jax.media import visualize

_ROWS = 6  # frames at most


def numbers(count: int) -> list[int]:
    """Which of `count` poses are shown."""
    return np.unique(np.linspace(0, count - 1, min(_ROWS, count)).round().astype(int)).tolist()


def contact_sheet(reading, shown: dict[int, tuple[Result, np.ndarray]]) -> np.ndarray:
    """Inputs in the first row, then a row for each pose that is shown: uint8 [H, W, 3].

    Args: reading: a `job.Reading`. shown: by the number of the pose, the result and the clip's frame, float [H, W, 3].
    """
    size = reading.views.person.shape[:2]
    given = [visualize.to_uint8(garment.image) for garment in reading.shown_garments]
    rows = [[reading.views.person, *given, *[None] * (4 - len(given))]]
    for number, (result, frame) in shown.items():
        rows.append(
            [
                reading.pose_frames[number],
                *map(visualize.colour_segmentation, (result.target.coarse, result.dressed.labels)),
                visualize.colour_flow(result.dressed.flow),
                visualize.to_uint8(framing.resize(frame, size)),
            ]
        )
    titles = ["user and garment", *(f"frame {number * reading.every}" for number in shown)]
    columns = ["user / pose", "garment / coarse", "final", "flow", "result"]
    return visualize.contact_sheet(rows, row_titles=titles, column_titles=columns)
