"""How a driving clip's motion becomes the source's: the two modes, and the frame from which movement is told.

Conventions: as in `models.first_order`; a motion is {'points' [..., K, 2], 'jacobians' [..., K, 2, 2]}, without or with
a leading axis of frames.

- `absolute`: the driving motion itself: poses are followed exactly, and the driving person's proportions with them.
- `relative`: `p = p_s + s (p_d - p_d0)` and `J = J_d J_d0^-1 J_s`: the source moves as the driving person has moved
  since a reference frame d0, and keeps its own proportions; s adapts the movement to the source's size. What the pose
  was in the reference frame is lost, so that one like the source's should be chosen.
"""

import os
from pathlib import Path

import jax
import numpy as np

from vton_jax.core import files
from vton_jax.core.errors import UserError
from vton_jax.models import first_order

MODES = ("relative", "absolute")
_LEAST_AREA = 1e-3  # of a hull, in places: what is smaller is no person


def relative(source: dict, driving: dict, reference: dict, scale: jax.Array | float) -> dict:
    """The motion of the source that has moved as the driving one since the reference."""
    points = source["points"] + scale * (driving["points"] - reference["points"])
    turned = driving["jacobians"] @ first_order.inverse(reference["jacobians"])
    return {"points": points, "jacobians": turned @ source["jacobians"]}


def hull_area(points: np.ndarray) -> float:
    """The area of the convex hull of points [K, 2]; a small one where they lie on a line."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return max(float(ConvexHull(np.asarray(points, float)).volume), _LEAST_AREA)
    except QhullError:
        return _LEAST_AREA


def scale_between(source: dict, reference: dict) -> float:
    """The s of `relative`: how much larger the source is than the driving person, by their points' hulls."""
    return float(np.sqrt(hull_area(source["points"]) / hull_area(reference["points"])))


def shape_of(points: np.ndarray) -> np.ndarray:
    """Points [K, 2] whatever their place and size."""
    return (points - points.mean(0)) / np.sqrt(hull_area(points))


def shape_distance(one: np.ndarray, two: np.ndarray) -> float:
    """How differently points [K, 2] lie, whatever their place and size."""
    return float(np.square(shape_of(np.asarray(one)) - shape_of(np.asarray(two))).sum())


def best_frame(source: dict, frames: dict) -> int:
    """The number of the frame whose points lie most like the source's, whatever their place and size.

    Args: source: a motion. frames: motions [T, ...].
    """
    return int(np.argmin([shape_distance(source["points"], points) for points in frames["points"]]))


def save(path: str | os.PathLike, frames: dict, region: str, rate: float) -> None:
    """Writes a driving motion [T, ...], to be replayed by `load`. Raises: UserError where it cannot be written."""
    if Path(path).suffix != ".npz":
        raise UserError(f"{path} cannot be written, since motions are .npz files; choose a name that ends in .npz.")
    with files.replacing(path) as temporary, files.writing(path):
        np.savez_compressed(temporary, **{name: np.float32(array) for name, array in frames.items()},
                            region=np.array(region), rate=np.float32(rate))  # fmt: skip


def load(path: str | os.PathLike) -> tuple[dict, str, float]:
    """(motions [T, ...], region, frames a second) of a saved motion. Raises: UserError where it is none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            frames = {name: file[name] for name in ("points", "jacobians")}
            region, rate = str(file["region"]), float(file["rate"])
    except FileNotFoundError:
        raise UserError(f"There is no motion {path}.") from None
    except (OSError, ValueError, KeyError, EOFError):
        raise UserError(f"{path} is no motion that --save_motion has written.") from None
    points, jacobians = frames["points"].shape, frames["jacobians"].shape
    if points[2:] != (2,) or jacobians != (*points[:2], 2, 2) or not len(frames["points"]):
        raise UserError(f"{path} is no motion that --save_motion has written.")
    return frames, region, rate
