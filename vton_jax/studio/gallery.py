"""What people may begin with: packaged pictures of drawn people and of garments, and a pose clip."""

import itertools
from pathlib import Path

from vton_jax.media import photo_files, video_files
from vton_jax.systems.pictures import SAMPLES

PERSON, GARMENT, POSE = SAMPLES / "person.png", SAMPLES / "garment.png", SAMPLES / "pose.mp4"
FLATS = SAMPLES.parent / "catalogue" / "assets" / "garments"
_OF_EACH = {"t-shirt": 2, "longsleeve": 2, "shirt": 2, "dress": 2, "skirt": 2, "pants": 1}
_STILLS = 5


def people() -> list[Path]:
    return [PERSON, SAMPLES / "dressed.png"]


def lower_garments() -> list[Path]:
    """To be worn with an upper one."""
    return [path for path in garments() if path.name.startswith(("skirt", "pants"))]


def garments() -> list[Path]:
    """The sample's, and some of each kind that the catalogue's people wear."""
    kinds = (itertools.islice(sorted(FLATS.glob(f"{kind}_*.jpg")), count) for kind, count in _OF_EACH.items())
    return [GARMENT, *itertools.chain.from_iterable(kinds)]


def stills(folder: Path) -> list[Path]:
    """Poses of the packaged clip as pictures, which are written into a folder."""
    frames, _ = video_files.read_video(POSE, _STILLS, select="even")
    paths = [folder / f"pose_{number}.png" for number in range(1, _STILLS + 1)]
    for path, frame in zip(paths, frames, strict=True):
        photo_files.write_image(path, frame)
    return paths
