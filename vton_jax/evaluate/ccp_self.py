"""The suite `ccp`, part `self`: people on the street get back the clothes that they wear in the photo.

Conventions: pictures are at the networks' size. User, garment and pose image are one photo: the garment is read from it
whole, the user's own clothes are hidden (`hidden_garments.py`), and the photo is the truth. What the names mean:
docs/evaluation.md.
"""

import collections

import numpy as np

from vton_jax.core import framing, label_tables, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.evaluate import dressing, perceptual, protocol, scores
from vton_jax.evaluate.hidden_garments import dress_hidden
from vton_jax.inputs import ccp, splits
from vton_jax.media import progress, visualize

_EXAMPLES = 12  # photos on the sheet, evenly over the set


class SelfReconstruction(protocol.Suite):
    """Photos in which no person or no garment is found are left out and counted.

    Args: options: those of the suite `ccp`. chosen: the photos' numbers.
    """

    name = "ccp.self"

    def __init__(self, options, chosen: list[str]):
        super().__init__(options)
        self.chosen = chosen

    def run(self):
        options, colour = self.options, visualize.colour_segmentation
        compared = dressing.open_systems(options)
        distances = perceptual.open_distances(options.perceptual)
        found, rows, left_out = collections.defaultdict(list), [], []
        for number in progress.each(self.chosen, "photo"):
            photo, ids = ccp.read(options.data, number)
            frame = framing.fit(photo, compared.size)[0]
            labels = label_tables.LABEL_FROM_CCP[framing.fit(ids, compared.size, fill=0, nearest=True)[0]]
            try:
                user = compared.first.read_user(frame)
                garment = compared.first.read_garment(frame, flat=False)
            except UserError:
                left_out.append(number)
                continue
            readings = [np.asarray(user.layout.segmentation), labels]
            images, target = dress_hidden(compared, user, garment, readings, options.background)
            truth = to_float(frame[None])
            region = segmentation.region(labels, segmentation.GARMENTS)[None]
            for name, image in images.items():
                values = scores.frame_scores(image[None], truth, region) | distances(image[None], truth)
                for score, (value,) in values.items():
                    found[f"ccp.self.{name}.{score}"].append(value)
            rows.append([frame, images["hidden"], colour(target.coarse), colour(target.final)])
            rows[-1] += [images[name] for name in compared.names]
        yield "ccp.self.num_photos", len(rows)
        yield "ccp.self.left_out", len(left_out)
        yield from ((name, float(np.nanmean(values))) for name, values in found.items())
        if rows:
            self.pictures["Self-reconstruction"] = _sheet(rows, compared.names)
        self._state_protocol(compared.size, distances.protocol, left_out)

    def _state_protocol(self, size: tuple[int, int], distances: dict[str, str], left_out: list[str]) -> None:
        options, chosen = self.options, self.chosen
        self.texts["protocol"] = {
            "self.photos": f"{len(chosen)}, split_hash {splits.split_hash(chosen)}",
            "self.size": f"{size[0]}x{size[1]}, padded with the photo's edge; SSIM with an 11-tap Gaussian",
            "self.user": "garments of the data set's labels and of the reading, and a rim, under grey; "
            "user, donor and pose are one photo",
            "self.garment_region": "garments of the data set's labels",
            **{f"self.{key}": text for key, text in distances.items()},
        }
        about = {"self.background": options.background}
        if options.system != protocol.LAB126:
            about["self.system"] = options.system
        self.texts["about"] = about | {"self.left_out": ", ".join(left_out) or "none"}


def _sheet(rows: list[list[np.ndarray]], systems: tuple[str, ...]) -> np.ndarray:
    shown = np.unique(np.linspace(0, len(rows) - 1, _EXAMPLES).round().astype(int))
    titles = ["photo and truth", "user as shown", "coarse", "final", *systems]
    return visualize.contact_sheet([rows[i] for i in shown], column_titles=titles)
