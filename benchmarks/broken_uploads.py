"""How the studio takes broken files: python benchmarks/broken_uploads.py [--files=1000 --seed=0 --server]

Pictures and clips whose bytes were changed, cut off, repeated or exchanged, headers that promise too much, archives and
texts by other names. Each has to be decoded or refused in one sentence; what else happens is counted as a fault. With
--server they are posted to a real server, two at once, which has to answer when all is over.
"""

import collections
import io
import random
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from concurrent import futures
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from absl import flags
from PIL import Image

from vton_jax.command_line import flag_utils
from vton_jax.media import video_files
from vton_jax.media.files import MediaError
from vton_jax.studio import uploads
from vton_jax.studio.options import Limits

FLAGS = flags.FLAGS
flags.DEFINE_integer("files", 1000, "How many.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Of the changes.")
flags.DEFINE_boolean("server", False, "Posts the files to a real server.")


def whole_files(folder: Path) -> dict[str, bytes]:
    """A file of each kind that is taken, and of some that are not."""
    noise = np.random.default_rng(0).integers(0, 255, (96, 64, 4)).astype(np.uint8)
    found = {}
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP"):
        file = io.BytesIO()
        Image.fromarray(noise[..., :3] if kind in ("JPEG", "BMP") else noise).save(file, format=kind)
        found[kind] = file.getvalue()
    video_files.write_video(folder / "clip.mp4", [noise[..., :3]] * 6, 10)
    found["MP4"] = (folder / "clip.mp4").read_bytes()
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)  # a bomb: 10.8 GB when it is unpacked
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1_000_000))), (b"IEND", b""))
    found["BOMB"] = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", bytes(1_000_000))
    found["ZIP"] = archive.getvalue()
    found["M3U8"] = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
    return found


def broken(whole: dict[str, bytes], drawn: random.Random) -> tuple[str, bytes]:
    """One of the files with something done to it: (kind and what, bytes)."""
    kind = drawn.choice(sorted(whole))
    data = bytearray(whole[kind])
    way = drawn.choice(("bytes", "header", "cut", "repeated", "exchanged", "zeros", "whole"))
    if way == "bytes":
        for _ in range(drawn.randint(1, 40)):
            data[drawn.randrange(len(data))] = drawn.randrange(256)
    elif way == "header":
        for _ in range(drawn.randint(1, 8)):
            data[drawn.randrange(min(64, len(data)))] = drawn.choice((0, 1, 127, 128, 255))
    elif way == "cut":
        data = data[: drawn.randrange(1, len(data))]
    elif way == "repeated":
        at = drawn.randrange(len(data))
        data[at:at] = data[at : at + 200] * drawn.randint(1, 50)
    elif way == "exchanged":
        data = data[:32] + bytearray(whole[drawn.choice(sorted(whole))])[32:]
    elif way == "zeros":
        at = drawn.randrange(len(data))
        data[at : at + 300] = bytes(min(300, len(data) - at))
    return f"{kind} {way}", bytes(data)


def post(client, name: str, data: bytes) -> tuple[str, float]:
    """Posts a file that is called a JPEG picture: what became of it, and seconds."""
    began = time.monotonic()
    answer = client.post("/api/try_on", files={name: ("photo.jpg", data, "image/jpeg")})
    seconds = time.monotonic() - began
    if answer.status_code not in (202, 422):
        return f"fault: {answer.status_code} {answer.text[:200]}", seconds
    said = answer.json()
    if answer.status_code == 202:
        client.delete(f"/api/jobs/{said['id']}")
        return "decoded", seconds
    refused = answer.status_code == 422 and str(said.get("detail")).startswith("The file for the ")
    return "refused" if refused else f"fault: {answer.status_code} {said}", seconds


def to_server(folder: Path) -> None:
    """Posts all files to a server of its own process. Exits with 1 where there are faults."""
    import httpx2

    from benchmarks.studio_load import server

    drawn, whole = random.Random(FLAGS.seed), whole_files(folder)
    files = [(drawn.choice(("person", "pose")), broken(whole, drawn)[1]) for _ in range(FLAGS.files)]
    with server(folder) as (address, _), httpx2.Client(base_url=address, timeout=300) as client:
        with futures.ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda one: post(client, *one), files))
        client.get("/api/options").raise_for_status()
    told = collections.Counter(what for what, _ in found)
    if "Traceback" in (folder / "log").read_text():
        told["fault: the server wrote of one"] += 1
    print(f"{len(found)} files to a server: {dict(told)}; the slowest took {max(one for _, one in found):.1f} s")
    if any(what.startswith("fault") for what in told):
        raise SystemExit(1)


def main() -> None:
    if FLAGS.server:
        with tempfile.TemporaryDirectory() as name:
            return to_server(Path(name))
    drawn, told, slowest = random.Random(FLAGS.seed), collections.Counter(), 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = whole_files(folder)
        for number in range(FLAGS.files):
            what, data = broken(whole, drawn)
            (folder / "upload.jpg").write_bytes(data)
            began = time.monotonic()
            try:
                made = uploads.take(folder / "upload.jpg", drawn.choice(("person", "pose")), folder, Limits())
                told["decoded"] += 1
                made.unlink()
            except MediaError as error:
                told["refused" if str(error).startswith("The file for the ") else "fault"] += 1
            except Exception as error:
                told["fault"] += 1
                print(f"{number} {what}: {error!r}", file=sys.stderr)
            slowest = max(slowest, time.monotonic() - began)
    print(f"{FLAGS.files} files: {dict(told)}; the slowest took {slowest:.1f} s")


if __name__ == "__main__":
    flag_utils.run(main)
