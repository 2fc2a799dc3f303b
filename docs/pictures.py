"""The pictures of the tour, made from the packaged sample: python docs/pictures.py [--rendered=DIR] [--studio=URL]

Dresses the sample as the studio's example does, `python -m vton_jax.studio --render_example=DIR`, some minutes on a
CPU; `--rendered` names such a folder that is there already. Writes docs/images/tour_*.webp, small, still or moving.
`--studio` takes the picture of the page that a running studio shows there, with Chromium, and makes nothing else.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.core.files import replacing
from vton_jax.media import photo_files, video_files, visualize
from vton_jax.studio import example
from vton_jax.systems.pictures import SAMPLES

IMAGES = Path(__file__).resolve().parent / "images"
QUALITY = 80
CELL = (256, 192)  # of a picture in a sheet
PAGE = (1280, 1500)  # the browser's window, width and height


def write(name: str, *frames: np.ndarray, rate: float = 1) -> None:
    """A picture, or a moving one of several frames [H, W, 3], that begins again after its end."""
    images = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    moving = {"save_all": True, "append_images": images[1:], "duration": round(1000 / rate), "loop": 0}
    with replacing(IMAGES / f"tour_{name}.webp") as temporary:
        images[0].save(temporary, "WEBP", quality=QUALITY, **(moving if len(images) > 1 else {}))


def sheet(pictures: dict[str, np.ndarray], columns: int) -> np.ndarray:
    """Pictures in rows, each under its name."""
    names, images = [*pictures], [*pictures.values()]
    rows = [
        visualize.contact_sheet([images[first : first + columns]], None, names[first : first + columns], CELL)
        for first in range(0, len(names), columns)
    ]
    return np.concatenate(rows)


def tour(folder: Path) -> None:
    """The pictures, from a folder that `example.render` filled."""
    result, _ = example.packaged(folder)
    read = lambda name: photo_files.read_photo(result["reading"][name])  # noqa: E731
    user, garment = (photo_files.read_photo(SAMPLES / f"{name}.png") for name in ("person", "garment"))
    poses = video_files.read_frames(SAMPLES / "pose.mp4")[0]
    some = {f"pose, frame {number}": poses[number] for number in (0, 19, 40)}
    write("sample", sheet({"user": user, "garment": garment} | some, 5))
    write("read", sheet({"person": read("person"), "garment": read("garment"), "pose": read("pose")}, 3))

    shown = {caption: photo_files.read_photo(path) for path, caption in result["machine"][0]["pictures"]}
    steps = {caption.split(":")[0]: picture for caption, picture in shown.items() if caption[0].isdigit()}
    write("steps", sheet(steps, 4))
    write("flow", sheet({name: shown[name] for name in ("final map", "flow", "warped garment", "result")}, 4))

    film, rate = video_files.read_video(result["film"])
    film = film[:, ::2, ::2]  # it was drawn so large, and doubled
    write("settling", *film, *[film[-1]] * 12, rate=float(rate))
    clip, rate = video_files.read_video(result["clip"])
    pairs = zip(poses, clip, strict=False)
    write("result", *(np.concatenate([user, pose, frame], 1) for pose, frame in pairs), rate=float(rate))


def studio(address: str) -> None:
    """The studio's page, as Chromium shows it."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("no Chromium is on the path")
    with tempfile.TemporaryDirectory() as folder:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        options += [
            "--hide-scrollbars",
            f"--window-size={PAGE[0]},{PAGE[1]}",
            "--virtual-time-budget=20000",
            "--screenshot=page.png",
        ]
        subprocess.run([browser, *options, address], check=True, cwd=folder, capture_output=True, timeout=300)
        with Image.open(Path(folder) / "page.png") as page:
            write("studio", np.asarray(page.convert("RGB")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rendered", type=Path, help="a folder of `python -m vton_jax.studio --render_example`")
    parser.add_argument("--studio", help="the address of a running studio")
    options = parser.parse_args()
    if options.studio:
        return studio(options.studio)
    with tempfile.TemporaryDirectory() as folder:
        if options.rendered is None:
            example.render(Path(folder))
        tour(options.rendered or Path(folder))


if __name__ == "__main__":
    main()
