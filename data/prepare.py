"""Prepares a TFDS dataset without TensorFlow: aside, then moved into place when it is whole.

A build that fails leaves nothing behind. A dataset that was prepared from another source, or with other settings, is
not touched without `rebuild`. (`tfds build` would need TensorFlow; this does not.)
"""

import contextlib
import io
import json
import os
import shutil
import sys
import types
from pathlib import Path

from vton_jax.command_line import flag_utils
from vton_jax.core.errors import UserError

BUFFER = 64 << 20  # bytes of examples that are held in memory while they are put in order
_BUCKETS = 256  # files that the rest goes to; each is read as a whole later, and all are open at once


def user_error_in(error: BaseException | None) -> UserError | None:
    """The UserError that TFDS may have wrapped."""
    seen = set()
    while error is not None and id(error) not in seen:
        if flag_utils.is_user_error(error):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def _remove_if_empty(folder: Path, until: Path) -> None:
    """Removes the empty folders from `folder` up to `until`, which stays; some may not exist."""
    while folder != until:
        if folder.exists():
            if any(folder.iterdir()):
                return
            folder.rmdir()
        folder = folder.parent


def prepared_from(folder: Path) -> str:
    """The fingerprint in the metadata of a prepared dataset, '' where there is none."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads((folder / "metadata.json").read_text()).get("fingerprint", "")
    return ""


@contextlib.contextmanager
def _tfds_in_bounds():
    """TFDS with three mends, as long as the context lasts.

    It serialises features in the order of a hash table that differs between processes; here the same examples give the
    same bytes. To put examples in order it holds up to 1 GB of them, and what goes beyond it writes to disk by
    TensorFlow; here it holds `BUFFER` and writes by Python's own files.
    """
    from tensorflow_datasets.core import example_serializer, shuffle

    def serialize(self, example):
        return self.get_tf_example(example).SerializeToString(deterministic=True)

    gfile = types.SimpleNamespace(GFile=open, exists=os.path.exists, remove=os.remove)
    files = types.SimpleNamespace(
        io=types.SimpleNamespace(gfile=gfile), errors=types.SimpleNamespace(ResourceExhaustedError=())
    )
    with contextlib.ExitStack() as stack:
        for place, name, value in (
            (example_serializer.ExampleSerializer, "serialize_example", serialize),
            (shuffle, "tf", files),
            (shuffle, "MAX_MEM_BUFFER_SIZE", BUFFER),
            (shuffle, "BUCKETS_NUMBER", _BUCKETS),
        ):
            stack.callback(setattr, place, name, getattr(place, name))
            setattr(place, name, value)
        yield


def move(built: Path, place: Path, replaced: Path) -> None:
    """Moves a dataset into its place; what was there before goes to `replaced`, and back where that fails."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        os.replace(place, replaced)
    try:
        os.replace(built, place)
    except OSError:
        if replaced.exists():
            os.replace(replaced, place)
        raise


def build(module, source: str | Path, data_dir: str | Path, *, rebuild: bool = False, settings=None, **options) -> Path:
    """Prepares the dataset of a builder's module and returns its folder; one from the same source is kept.

    The module has the dataclass `Settings` and `Builder`, with the class method `fingerprint(source, settings)` and, if
    there is anything to say, `write_reports(folder)`. `options` are the builder's own.

    Raises UserError for a source that cannot be used, a folder that cannot be written to, and a dataset from another
    source, unless `rebuild`. Whatever is raised, what was there before is still there, and nothing else.
    """
    import tensorflow_datasets as tfds

    settings = settings or module.Settings()
    data_dir = Path(data_dir).expanduser().absolute()
    name, version = Path(module.__file__).stem, str(module.Builder.VERSION)
    place = data_dir / name / version
    fingerprint = module.Builder.fingerprint(source, settings)
    if place.exists():
        if prepared_from(place) == fingerprint:
            print(f"{place} is prepared already, from the same source", file=sys.stderr)
            return place
        if not rebuild:
            raise UserError(f"{place} was prepared from another source or with other settings; give --rebuild to "
                            "replace it, or another --data_dir.")  # fmt: skip
    existing = next(folder for folder in (data_dir, *data_dir.parents) if folder.exists())
    # `input_pipeline.find_dataset` passes over what is incomplete.
    aside = data_dir / f".incomplete-{name}"
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        builder = module.Builder(
            source=source, settings=settings, data_dir=aside, file_format="array_record", **options
        )
        with _tfds_in_bounds(), contextlib.redirect_stdout(io.StringIO()):  # TFDS praises the folder aside
            builder.download_and_prepare(
                file_format="array_record", download_config=tfds.download.DownloadConfig(try_download_gcs=False)
            )
        if hasattr(builder, "write_reports"):
            builder.write_reports(Path(builder.data_path))
        move(Path(builder.data_path), place, aside / "replaced")
    except OSError as error:
        if user_error := user_error_in(error):
            raise user_error from None
        raise UserError(f"{data_dir} cannot be written to ({error.strerror or error}); choose another.") from None
    except Exception as error:
        if user_error := user_error_in(error):
            raise user_error from None
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        with contextlib.suppress(OSError):
            _remove_if_empty(place.parent, existing)
    return place
