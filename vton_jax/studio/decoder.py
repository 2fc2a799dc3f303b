"""The child that decodes an upload: `uploads` starts it. It reads what is asked from stdin and answers in JSON."""

import json
import resource
import sys
from pathlib import Path

_MARKED = 20  # of 255, the alpha from which a brush has marked a pixel


def _limit(seconds: int, memory: int) -> None:
    """No more time, memory, files and output than that, from here on."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000_000, 200_000_000))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def decode(asked: dict) -> Path:
    """Writes the upload anew; returns the file. Raises: MediaError."""
    import cv2
    import numpy as np
    from PIL import Image

    from vton_jax.media import photo_files, video_files
    from vton_jax.media.files import MediaError

    cv2.setNumThreads(1)
    path, output = Path(asked["path"]), Path(asked["output"])
    if asked["kind"] == "clip":
        _require_short(path, asked["max_seconds"], asked["max_pixels"])
        frames, rate = video_files.read_frames(path, asked["max_frames"], max_side=asked["max_side"])
        output = output.with_suffix(".mp4")
        video_files.write_video(output, frames, rate)
        return output
    with photo_files.open_image(path) as image:
        if image.width * image.height > asked["max_pixels"]:
            most = asked["max_pixels"] // 1_000_000
            raise MediaError(f"{path} has {image.width}x{image.height} pixels, more than {most} million")
        if asked["kind"] == "mask":
            marked = np.asarray(image.convert("RGBA"))[..., 3] > _MARKED
            photo_files.write_image(output.with_suffix(".png"), np.where(marked, 255, 0).astype(np.uint8))
            return output.with_suffix(".png")
    pixels, mask = photo_files.read_cut_out(path, max_side=2048)
    output = output.with_suffix(".png")
    if mask is None:
        photo_files.write_image(output, pixels)
    else:
        alpha = np.where(mask, 255, 0).astype(np.uint8)
        Image.fromarray(np.concatenate([pixels, alpha[..., None]], -1)).save(output)
    return output


def _require_short(path: Path, max_seconds: int, max_pixels: int) -> None:
    """Raises: MediaError, for what the header says is too long or too large."""
    import av

    from vton_jax.media import video_files
    from vton_jax.media.files import MediaError

    try:
        with video_files.open_container(path) as container:
            seconds = (container.duration or 0) / 1_000_000
            pixels = max((stream.width * stream.height for stream in container.streams.video), default=0)
    except (OSError, ValueError, AttributeError, av.FFmpegError):  # a stream of no known kind has no width
        raise MediaError(f"{path} is not a clip that can be read; try MP4") from None
    if seconds > max_seconds:
        raise MediaError(f"{path} lasts {seconds:.0f} s, more than {max_seconds}; cut it")
    if pixels > max_pixels:
        raise MediaError(f"{path} has frames of {pixels:,} pixels, more than {max_pixels:,}")


def main() -> None:
    asked = json.load(sys.stdin)
    _limit(asked["seconds"], asked["memory"])
    from vton_jax.core.errors import UserError

    try:
        answer = {"file": decode(asked).name}
    except UserError as error:
        answer = {"error": " ".join(str(error).split())}
    except MemoryError:
        answer = {"error": f"{asked['path']} takes too much memory to decode; save it smaller"}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
