"""What photos and clips share: the error for those that cannot be read, and the first look at a file."""

import os
from pathlib import Path

from vton_jax.core.errors import UserError

MIN_SIDE = 16


class MediaError(UserError):
    """A photo or clip that cannot be read or written; the text is one sentence for the user."""


def existing_file(path: str | os.PathLike) -> Path:
    """The path of a file that is there and holds something. Raises: MediaError."""
    path = Path(path)
    try:
        if path.is_dir():
            kind = "a folder" if any(path.iterdir()) else "an empty folder"
            raise MediaError(f"{path} is {kind}, not a file; name a photo or a clip")
        if not path.exists():
            raise MediaError(f"{path} does not exist; check the spelling of the path")
        if path.is_file() and path.stat().st_size == 0:
            raise MediaError(f"{path} is an empty file; copy or download it again")
    except OSError as error:
        raise MediaError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    return path
