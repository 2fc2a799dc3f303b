"""Files that people bring: looked at from outside, then decoded by a child process that may take only so much.

What the rest of the studio reads is what the child has written anew: a PNG file or an MP4 clip without metadata.
Conventions: pictures keep their alpha channel; clips become at most `max_frames` frames.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Literal

from vton_jax.core.errors import UserError
from vton_jax.media.files import MediaError
from vton_jax.studio.options import Limits

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM")
_CLIPS = (b"\x1aE\xdf\xa3",)  # Matroska and WebM
_KINDS = {"pose": ("picture", "clip"), "driving_clip": ("clip",)}  # what is taken; of all others pictures
_SAID = {"picture": "a picture (JPEG, PNG, WebP)", "clip": "a clip (MP4, WebM, MOV)"}
_SIDE, _SIDES = 1280, {"driving_clip": 640}  # the longer side of a clip's frames: of one that drives many are read
_PATIENCE = 5  # times its processor time that a child may take by the clock, where others want the machine too
_ROOT = Path(__file__).resolve().parents[2]
_CHILDREN = threading.BoundedSemaphore(2)


def kind_of(path: Path) -> Literal["picture", "clip"] | None:
    """What a file is by its first bytes, whatever it is called; None for all that is not taken.

    Playlists and lists of files, which FFmpeg would follow to other files, begin with text, and are nothing here.
    """
    with open(path, "rb") as file:
        begin = file.read(16)
    if begin.startswith(_PICTURES) or (begin[:4] == b"RIFF" and begin[8:12] == b"WEBP"):
        return "picture"
    if begin.startswith(_CLIPS) or (begin[:4] == b"RIFF" and begin[8:12] == b"AVI "):
        return "clip"
    if begin[4:8] == b"ftyp":
        return None if begin[8:12] in (b"avif", b"heic", b"mif1") else "clip"
    return None


def take(path: str | os.PathLike, name: str, folder: Path, limits: Limits, max_frames: int = 48) -> Path:
    """Decodes an upload into `folder`, as NAME.png or NAME.mp4. Returns: the path of that.

    Args: path: the upload. name: what it is for: `NAME_mask` (what its alpha channel marks is white then), one of
    `_KINDS`, or another. Raises: MediaError, with one sentence that names the upload by `name`.
    """
    path, said = Path(path), f"The file for the {name.replace('_', ' ')}"
    if not path.is_file() or path.stat().st_size == 0:
        raise MediaError(f"{said} is empty; choose it again.")
    if path.stat().st_size > limits.max_megabytes * 1_000_000:
        raise MediaError(f"{said} is larger than {limits.max_megabytes} MB; save it smaller.")
    kind = kind_of(path)
    kinds = _KINDS.get(name, ("picture",))
    if kind not in kinds:
        wanted = " or ".join(_SAID[one] for one in kinds)
        raise MediaError(f"{said} is not {wanted}.")
    with _CHILDREN:  # each may take its memory
        answer = _decoded(path, folder / name, "mask" if name.endswith("mask") else kind, limits, max_frames)
    if "error" in answer:
        raise MediaError(answer["error"].replace(str(path), said).rstrip(".") + ".")
    return folder / answer["file"]


def _decoded(path: Path, output: Path, kind: str, limits: Limits, max_frames: int) -> dict[str, str]:
    asked = {
        "path": str(path), "output": str(output), "kind": kind, "max_frames": max_frames,
        "max_side": _SIDES.get(output.name, _SIDE),
        "max_pixels": limits.max_megapixels * 1_000_000, "max_seconds": limits.max_seconds,
        "seconds": limits.decode_seconds, "memory": limits.decode_megabytes * 1_000_000,
    }  # fmt: skip
    command = [sys.executable, "-P", "-m", "vton_jax.studio.decoder"]  # -P: what lies in the folder here is not ours
    too_much = {"error": f"{path} takes too long or too much memory to decode; save it smaller"}
    # Of the environment, what finds libraries, and this package wherever it is: no secrets.
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    try:
        done = subprocess.run(
            command, input=json.dumps(asked), env=environment, capture_output=True, text=True,
            timeout=_PATIENCE * limits.decode_seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return too_much
    except OSError as error:
        raise UserError(f"No process could be started to decode a file: {error.strerror}.") from None
    lines = done.stdout.strip().splitlines()
    if not lines:  # killed, by a limit or by what it decoded
        print(f"a decoder ended with {done.returncode}: {done.stderr[-500:]}", file=sys.stderr)
        return too_much
    try:
        return json.loads(lines[-1])
    except ValueError:
        return too_much
