"""Files that appear whole or not at all: written under a temporary name in the same folder, then renamed.

A full disk or a folder that cannot be written to is a `UserError`: one sentence that names the file and the mend.
"""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from vton_jax.core.errors import UserError


def require_writable(path: str | os.PathLike, read: Iterable[str | os.PathLike] = ()) -> None:
    """Finds out before long work whether `path` can be written; makes its folder.

    Raises: UserError, also where it is one of the files that are `read`: they would be lost.
    """
    path = Path(path)
    if path.resolve() in {Path(name).resolve() for name in read}:
        raise UserError(f"{path} would be overwritten, and what is written is made from it; choose another output")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary name beside `path`, renamed to it on success and removed on any exception; makes the folder.

    The name starts with a dot and has the suffix of `path`. Raises: UserError; what is raised within goes through.
    """
    path = Path(path)
    with writing(path):
        if path.is_dir():
            raise UserError(f"{path} cannot be written, since it is a folder; name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem[:64]}.{os.getpid()}-{threading.get_ident()}{path.suffix}")
    try:
        yield temporary
        with writing(path):
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """Turns what the operating system and FFmpeg refuse into a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not isinstance(error, OSError) and not type(error).__module__.startswith("av."):
            raise
        reason = getattr(error, "strerror", None) or "unknown error"
        raise UserError(
            f"{path} cannot be written ({reason}); check the folder's permissions and the free space, or choose "
            "another output"
        ) from error


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Writes a file, as `replacing` does."""
    with replacing(path) as temporary, writing(path):
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text in UTF-8, line ends as they are, as `replacing` does."""
    write_bytes(path, text.encode())
