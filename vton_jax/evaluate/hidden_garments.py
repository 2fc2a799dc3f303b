"""People get back what they wear: it is hidden under grey before the networks see the photo, which is the truth.

Conventions: pictures are at the networks' size; labels uint8 [H, W] are ATR's.
"""

import cv2
import numpy as np

from vton_jax.compositing import backdrops
from vton_jax.core import segmentation
from vton_jax.core.types import Garment, Pose, Target, User
from vton_jax.evaluate.dressing import Compared
from vton_jax.evaluate.scores import at

HIDE = 4  # pixels around the user's own garment that are hidden too


def hide(user: User, readings: list[np.ndarray], garment_type: int) -> User:
    """The user with what they wear in the garment's place under grey, and a layout that says so.

    Args: readings: labels [H, W] of several networks; what any of them takes for the garment is hidden, since what is
    overlooked could be copied. garment_type: index in `segmentation.GARMENT_TYPES`. In the layout all that is hidden is
    the garment, so that neither is it kept, nor taken for background.
    """
    labels = segmentation.REPLACED_LABELS[segmentation.GARMENT_TYPES[garment_type]]
    mask = np.any([segmentation.region(reading, labels) for reading in readings], 0)
    mask = cv2.dilate(mask.astype(np.uint8), np.ones((2 * HIDE + 1,) * 2, np.uint8)) > 0
    worn = user.layout.segmentation
    known = segmentation.region(np.asarray(worn), labels)
    layout = user.layout.replace(segmentation=np.where(mask & ~known, np.uint8(labels[0]), worn))
    return user.replace(image=np.where(mask[..., None], np.float32(0.5), user.image), layout=layout)


def dress_hidden(
    compared: Compared, user: User, garment: Garment, readings: list[np.ndarray], background: str
) -> tuple[dict[str, np.ndarray], Target]:
    """What each system makes of the user in the garment and their own pose, what they wear under grey.

    Args: readings: see `hide`. background: `inpaint` or `network`.
    Returns: {system: float picture [H, W, 3], 'hidden': what the networks are shown}, and the target layout.
    """
    poses = at(Pose(layout=user.layout, latent=user.latent), np.newaxis)
    seen = hide(user, readings, int(garment.garment_type))
    if background == "inpaint":
        seen = seen.replace(backdrop=backdrops.backdrop(seen.image, np.asarray(seen.layout.segmentation)))
    images, targets = compared.dress(user, garment, poses, seen)
    return {name: pictures[0] for name, pictures in images.items()} | {"hidden": seen.image}, targets[0]
