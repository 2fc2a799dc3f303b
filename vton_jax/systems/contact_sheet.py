"""The contact sheet of a try-on: what went in, and for some frames what came of it, step by step."""

import numpy as np

from vton_jax.core import framing
from vton_jax.core.types import Result
from vton_jax.media import visualize
from vton_jax.systems import person_clips

_ROWS = 6  # frames at most


def contact_sheet(reading, results: list[Result], frames: np.ndarray) -> np.ndarray:
    """Inputs in the first row, then a row for each of six frames at most, as the clip shows them: uint8 [H, W, 3].

    Args: reading: a `job.Reading`. results: of its poses. frames: float [T, h, w, 3], the same, perhaps filtered.
    """
    chosen = np.unique(np.linspace(0, len(results) - 1, min(_ROWS, len(results))).round().astype(int))
    views, garments = reading.views, reading.shown_garments
    given = [visualize.to_uint8(garment.image) for garment in garments]
    rows = [[views.person, *given, *[None] * (4 - len(given))]]
    own = None if reading.clip is None else person_clips.only(reading.clip.pictures(), chosen)
    shown = views.show(frames[chosen], [results[index] for index in chosen], garments, own)
    for index, picture in zip(chosen, shown, strict=True):
        result = results[index]
        rows.append(
            [
                reading.pose_frames[index],
                *map(visualize.colour_segmentation, (result.target.coarse, result.dressed.labels)),
                visualize.colour_flow(result.dressed.flow),
                visualize.to_uint8(framing.resize(picture, views.person.shape[:2])),
            ]
        )
    titles = ["user and garment", *(f"frame {index * reading.every}" for index in chosen)]
    columns = ["user / pose", "garment / coarse", "final", "flow", "result"]
    return visualize.contact_sheet(rows, row_titles=titles, column_titles=columns)
