"""Photos of garments, flat and worn: python benchmarks/photo_cloth.py --output=photo_cloth.jpg [--names=A,B,...]

Writes a sheet, a row for each garment: its photo on a drawn ground, its cut-out, and somebody who wears it from the
front, from in between, from the side and from behind. Without names, every n-th of the shipped garments is shown.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.catalogue import (
    bodies,
    camera,
    flat_photos,
    garments,
    people,
    photo_cloth,
    pictures,
    poses,
    textures,
    views,
)
from vton_jax.media import photo_files, visualize

YAWS = (0.0, 0.75, 1.5, np.pi)


def row(name: str, number: int, size: tuple[int, int], folder: Path) -> np.ndarray:
    """A garment's row of the sheet, float32 [H, 6 W, 3]."""
    generator, cloth = np.random.default_rng(number), photo_cloth.read(name, folder)
    lower = {"dress": "dress", "skirt": "skirt"}.get(cloth.photo_type, "trousers")
    who = bodies.sample_identity(generator)
    if lower != "trousers":
        who = dataclasses.replace(who, gender=0.0)
    hem = -0.08 if lower == "trousers" else 0.18
    worn = garments.outfit(*cloth.on(garments.Cut("top", hem=hem), garments.Cut(lower, leg=1.0 + 0.95 * (hem < 0))))
    hair = "ponytail01" if who.gender < 0.5 else "short01"
    person = people.dress(who, [*worn, "shoes01", hair])
    skins = textures.sample_textures(generator, who, person.layers, "casual") | photo_cloth.textures(worn)
    flat = flat_photos.lay(cloth, size)
    kind = flat_photos.GROUNDS[1 + number % (len(flat_photos.GROUNDS) - 1)]
    cells = [flat.picture(flat_photos.ground(generator, ground, size)) for ground in (kind, "white")]
    eye = camera.frame(size, person.height)
    for yaw in YAWS:
        pose = poses.walk(0.5 + yaw).turned(yaw) if number % 2 else poses.stand(0.35).turned(yaw)
        cells.append(pictures.shade(views.view_of(person, pose, eye, size), skins, pictures.Light()))
    return np.hstack(cells).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=str(photo_cloth.FOLDER), help="of garments")
    parser.add_argument("--names", default="", help="of garments, separated by commas")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--size", default="256x160")
    parser.add_argument("--output", default="photo_cloth.jpg")
    arguments = parser.parse_args()
    folder, size = Path(arguments.folder), tuple(map(int, arguments.size.split("x")))
    known = photo_cloth.names(folder=folder)
    names = arguments.names.split(",") if arguments.names else known[:: max(1, len(known) // arguments.count)]
    rows = [row(name, number, size, folder) for number, name in enumerate(names)]
    half = (len(rows) + 1) // 2
    rows += [np.ones_like(rows[0])] * (2 * half - len(rows))
    sheet = np.hstack([np.vstack(rows[:half]), np.vstack(rows[half:])])
    photo_files.write_image(arguments.output, visualize.to_uint8(sheet))


if __name__ == "__main__":
    main()
