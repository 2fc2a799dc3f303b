"""Makes cloth of flat photos of garments: python data/build.py garments --source=DIR --data_dir=DIR

The source holds photos as TYPE/*.jpg, or SPLIT/TYPE/*.jpg with the splits train and validation; types are those of
`garment_photos.SHAPES`. About half of the photos for validation, by a hash of their names, are for testing.
DATA_DIR/garments is a folder of garments as `vton_jax.catalogue.photo_cloth` reads it; DATA_DIR/sheet_*.jpg shows
what was kept, numbered as in names.txt, best first within each type and split. Names listed in DATA_DIR/leave_out.txt
are left out: look at the sheets, list what is bad, and run it again, which fits nothing anew.
"""

import dataclasses
import shutil
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from vton_jax.catalogue import flat_layout, garment_cutouts, garment_photos, photo_cloth
from vton_jax.core import listings
from vton_jax.core.errors import UserError
from vton_jax.core.files import require_writable, writing
from vton_jax.media.progress import Progress

LEAVE_OUT = "leave_out.txt"
_SPLITS = ("train", "validation")
_QUALITY = 85  # of JPEG
_THUMB, _ACROSS, _DOWN = (150, 118), 16, 9  # of a sheet


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is taken."""

    most: int = 0  # garments of each type and split, the best ones; 0: all
    photos: int = 0  # that are looked at of each type and split; 0: all


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photo and where it belongs."""

    path: Path
    split: str
    photo_type: str

    @property
    def name(self) -> str:
        return f"{self.photo_type}_{self.path.stem[:13]}"


def find_photos(source: Path) -> list[Photo]:
    """All photos of a folder. Raises: UserError where there are none, or two would have one name."""
    if not source.is_dir():
        raise UserError(f"There is no folder {source}.")
    splits = [name for name in _SPLITS if (source / name).is_dir()]
    found = []
    for split, folder in [(name, source / name) for name in splits] or [("train", source)]:
        for photo_type in garment_photos.SHAPES:
            for path in listings.files_in(folder / photo_type, "*.jpg"):
                held_out = split == "validation" and zlib.crc32(path.stem.encode()) % 2
                found.append(Photo(path, "test" if held_out else split, photo_type))
    if not found:
        raise UserError(f"{source} holds no photos: they must lie as TYPE/*.jpg, TYPE being "
                        f"{', '.join(garment_photos.SHAPES)}.")  # fmt: skip
    twice = [name for name, count in Counter(photo.name for photo in found).items() if count > 1]
    if twice:
        raise UserError(f"Several photos are called {twice[0]}; give them names that differ.")
    return found


def _left_out(folder: Path) -> set[str]:
    """The names in a folder's list; a name is a garment's or a photo's, what follows # is a remark."""
    path = folder / LEAVE_OUT
    lines = listings.read_lines(path) if path.exists() else []
    return {name for line in lines if (name := line.partition("#")[0].strip())}


def _code() -> str:
    """A number of the code that fits: what was fitted by another is not used again."""
    files = [garment_cutouts.__file__, *(sys.modules[module.__module__].__file__ for module in (
        garment_photos.Fit, garment_photos.Outline, garment_photos.ThinPlate, flat_layout.Layout
    ))]  # fmt: skip
    return format(zlib.crc32(b"".join(Path(file).read_bytes() for file in files)), "08x")


def _fitted(photo: Photo, work: Path) -> tuple[photo_cloth.PhotoCloth | None, str]:
    """(the garment of a photo, or None and why not), from `work` if it was fitted before.

    Raises: UserError for an unreadable photo.
    """
    done = work / f"{photo.split}_{photo.name}.npz"
    if done.exists():
        with np.load(done) as file:
            raw = {key: file[key] for key in file.files}
        if "refused" in raw:
            return None, str(raw["refused"])
        return photo_cloth.PhotoCloth(**photo_cloth.unpacked(raw)[0], picture=raw["picture"]), ""
    image = cv2.imread(str(photo.path), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{photo.path} is no picture that can be read.")
    image = np.ascontiguousarray(image[..., ::-1])
    try:
        fit = garment_photos.fit(image, photo.photo_type)
        good = fit.score >= garment_photos.THRESHOLDS.least
        about = {"name": photo.name, "photo_type": photo.photo_type, "split": photo.split, "source": photo.path.name}
        cloth = garment_cutouts.cut_out(image, fit, about) if good else None
        why = "" if cloth else fit.worst
    except ValueError as error:
        cloth, why = None, str(error)
    found = {**photo_cloth.packed([cloth]), "picture": cloth.picture} if cloth else {"refused": np.array(why)}
    np.savez(work / "part.npz", **found)
    (work / "part.npz").replace(done)
    return cloth, why


def _best(cloths: list[photo_cloth.PhotoCloth], most: int) -> list[photo_cloth.PhotoCloth]:
    """The best garments of each type and split."""
    seen, found = Counter(), []
    for cloth in sorted(cloths, key=lambda one: (one.photo_type, one.split, -one.score, one.name)):
        seen[cloth.photo_type, cloth.split] += 1
        if not most or seen[cloth.photo_type, cloth.split] <= most:
            found.append(cloth)
    return found


def write_sheets(folder: Path, cloths: list[photo_cloth.PhotoCloth]) -> None:
    """Pictures of all garments with their names and how flat coordinates lie on them."""
    height, width = _THUMB
    for first in range(0, len(cloths), _ACROSS * _DOWN):
        sheet = np.full((_DOWN * height, _ACROSS * width, 3), 60, np.uint8)
        for index, cloth in enumerate(cloths[first : first + _ACROSS * _DOWN]):
            row, column = divmod(index, _ACROSS)
            cell = sheet[row * height :, column * width :][:height, :width]
            scale = min((height - 14) / cloth.picture.shape[0], (width - 2) / cloth.picture.shape[1])
            alpha = cloth.alpha[..., None]
            shown = (alpha * cloth.picture + (1 - alpha) * 255).astype(np.uint8)
            shown = cv2.resize(shown, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            for corner in cloth.corners:
                cv2.circle(shown, tuple(int(v) for v in np.rint(corner * scale)), 2, (255, 0, 0), -1)
            cell[: shown.shape[0], : shown.shape[1]] = shown
            label = f"{first + index} {cloth.score:.2f} {cloth.split[:2]}"
            cv2.putText(cell, label, (2, height - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.33, (255, 255, 255), 1, cv2.LINE_AA)
        cv2.imwrite(str(folder / f"sheet_{first // (_ACROSS * _DOWN)}.jpg"), sheet[..., ::-1])


def build(source: str, data_dir: str, settings: Settings) -> str:
    """Makes DATA_DIR/garments; returns a sentence on what it holds. Raises: UserError for a bad source.

    Fits are kept in DATA_DIR/work and used again; the folder is made aside and moved into place when whole.
    """
    folder, began, refused = Path(data_dir), time.time(), Counter()
    photos, left_out = find_photos(Path(source)), _left_out(Path(data_dir))
    unknown = left_out - {name for photo in photos for name in (photo.name, photo.path.name)}
    if unknown:
        raise UserError(f"{folder / LEAVE_OUT} lists {sorted(unknown)[0]}, which is no photo of {source}.")
    per, wanted, good = Counter(), [], []
    for photo in photos:
        per[photo.photo_type, photo.split] += 1
        if not settings.photos or per[photo.photo_type, photo.split] <= settings.photos:
            wanted.append(photo)
    work = folder / "work" / _code()
    require_writable(work / "part.npz")
    progress = Progress(len(wanted), unit="photos")
    for number, photo in enumerate(wanted, 1):
        cloth, why = _fitted(photo, work)
        if cloth is None:
            refused[photo.photo_type, why] += 1
        elif not {photo.name, photo.path.name} & left_out:
            good.append(cloth)
        progress.advance(number)
        if number % 50 == 0 or number == len(wanted):
            progress.show(number, {"good": len(good)})
    progress.close()
    cloths = _best(good, settings.most)
    if not cloths:
        raise UserError(f"No photo of {source} shows a garment that can be fitted.")
    with writing(folder):
        _write(folder, cloths)
    for (photo_type, why), count in sorted(refused.items()):
        print(f"{photo_type}: {count} refused for {why}", file=sys.stderr)
    kept, looked = (Counter(one.photo_type for one in many) for many in (cloths, wanted))
    listed = ", ".join(f"{kept[name]} of {looked[name]} {name}" for name in garment_photos.SHAPES if looked[name])
    return f"{folder / 'garments'}: {len(cloths)} garments ({listed}) in {time.time() - began:.0f} s"


def _write(folder: Path, cloths: list[photo_cloth.PhotoCloth]) -> None:
    """Writes garments, and the sheets and their list beside them."""
    part = folder / "garments.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    for cloth in cloths:
        cv2.imwrite(str(part / f"{cloth.name}.jpg"), cloth.picture[..., ::-1], quality)
    np.savez_compressed(part / photo_cloth.INDEX, **photo_cloth.packed(cloths))
    shutil.rmtree(folder / "garments", ignore_errors=True)
    part.replace(folder / "garments")
    for stale in folder.glob("sheet_*.jpg"):
        stale.unlink()
    write_sheets(folder, cloths)
    names = "".join(f"{number} {cloth.name} {cloth.score:.2f}\n" for number, cloth in enumerate(cloths))
    (folder / "names.txt").write_text(names, encoding="utf-8")
