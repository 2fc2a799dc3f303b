"""The suite `ccp`, part `self`: people on the street get back the clothes that they wear in the photo.

Alphabet: pictures are at the networks' size. User, donor and pose image are one photo: the donor is read from it whole,
the user's own clothes lie under grey before the networks see them, and the photo is the truth. What the names mean:
docs/evaluation.md.
"""

import numpy as np

from vton_jax.core import framing, label_tables, segmentation
from vton_jax.core.errors import UserError
from vton_jax.evaluate import mannequin_suite, pairs_suite, perceptual, ubc_suite
from vton_jax.inputs import ccp, splits
from vton_jax.media import visualize
from vton_jax.models import weights
from vton_jax.reading.photo_parser import PhotoParser
from vton_jax.systems.lab126 import try_on

_EXAMPLES = 12  # photos on the sheet, evenly over the set


def evaluate_self(
    folder: str,
    chosen: list[str],
    weights_folder: str | None = None,
    arms: tuple[str, ...] = try_on.ARMS,
    background: str = "inpaint",
    reader: str = "photo",
) -> tuple[dict, dict, dict]:
    """Returns (results, pictures, texts) for the photos `chosen`: name to number, to uint8 sheet, the protocol.

    Photos in which no person or no garment is found are left out and counted.
    """
    systems = {arm: try_on.TryOn(arm, weights_folder, reader) for arm in arms}
    system = systems[arms[0]]
    distance = perceptual.Surrogate(PhotoParser(weights.path_of("parser_cnn", weights_folder)))
    scores: dict[str, list] = {}
    rows, left_out = [], []
    for number in mannequin_suite.progress(chosen, "photo"):
        photo, ids = ccp.read(folder, number)
        frame = framing.fit(photo, system.size)[0]
        labels = label_tables.LABEL_FROM_CCP[framing.fit(ids, system.size, fill=0, nearest=True)[0]]
        try:
            user, z_user = system.read_user(frame)
            donor = system.read_donor(frame, flat=False)
        except UserError:
            left_out.append(number)
            continue
        readings = [np.asarray(user.segmentation), labels]
        images, target = pairs_suite.dress_hidden(systems, frame, user, z_user, donor, readings, background)
        truth, region = framing.to_float(frame), segmentation.region(labels, segmentation.GARMENTS)
        for name, image in images.items():
            values = ubc_suite.frame_scores(image[None], truth[None], region[None])
            values["lpips_surrogate"] = distance(image[None], truth[None])
            for score, (value,) in values.items():
                scores.setdefault(f"ccp.self.{name}.{score}", []).append(value)
        colour = visualize.colour_segmentation
        rows.append([frame, images["hidden"], colour(target.coarse), colour(target.final), *(images[a] for a in arms)])
    results = {"ccp.self.num_photos": len(rows), "ccp.self.left_out": len(left_out)}
    results |= {name: float(np.nanmean(values)) for name, values in scores.items()}
    protocol = {
        "self.photos": f"{len(chosen)}, split_hash {splits.split_hash(chosen)}",
        "self.size": f"{system.size[0]}x{system.size[1]}, padded with the photo's edge; SSIM with an 11-tap Gaussian",
        "self.user": "garments of the data set's labels and of the reading, and a rim, under grey; "
        "user, donor and pose are one photo",
        "self.garment_region": "garments of the data set's labels",
        "self.lpips_surrogate": distance.name,
    }
    about = {"self.background": background, "self.reader": reader, "self.left_out": ", ".join(left_out) or "none"}
    if not rows:
        return results, {}, {"protocol": protocol, "about": about}
    shown = np.unique(np.linspace(0, len(rows) - 1, _EXAMPLES).round().astype(int))
    titles = ["photo and truth", "user as shown", "coarse", "final", *arms]
    sheet = {"Self-reconstruction": visualize.contact_sheet([rows[i] for i in shown], column_titles=titles)}
    return results, sheet, {"protocol": protocol, "about": about}
