"""The catalogue as a prepared dataset: examples drawn into shards, by any number of processes.

Conventions: an example is one of `vton_jax.catalogue.examples`; images are stored as JPEG, label maps as PNG, and
a flow as int16 in sixteenths of a pixel, 0 where nothing is given. A shard holds whole users. It appears whole or not
at all, so that a build that is stopped goes on where it was. Reading: `vton_jax.inputs.catalogue_examples`.
"""

import dataclasses
import functools
import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import tensorflow_datasets as tfds

from data import prepare
from data.raw import engine
from vton_jax.catalogue import examples, exchanges, scenes
from vton_jax.catalogue.characters import SPLITS
from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.files import replacing, require_writable, writing
from vton_jax.inputs.catalogue_examples import FLOW_UNIT, SHOTS

NAME, VERSION = "catalogue", "1.0.0"
USERS = 10  # of one shard
_OTHERS = 20  # validation and test each have so many times fewer users than train
_JPEG = 93  # quality; what the camera's own JPEG left is worth no more
_IDS = ("person_id", "garment_id")  # of the user, and of the photos of cloth, for `data/build.py check`
_FILES = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


def _field(default, text: str):
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is drawn."""

    examples: int = _field(30_000, "Examples for training; validation and test have a twentieth each.")
    size: tuple[int, int] = _field((256, 192), "Size of the pictures, HEIGHTxWIDTH.")
    grounds: str = _field("", "Folder of pictures of places without people, see `data/build.py grounds`.")


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file to draw: the users `first` to `first + count` of a split."""

    unit: str  # the file's path
    split: str
    first: int
    count: int


def features() -> tfds.features.FeaturesDict:
    """What the prepared dataset says of itself."""
    found = {"garment_type": tfds.features.ClassLabel(names=list(segmentation.GARMENT_TYPES))}
    for shot in SHOTS:
        found |= {
            f"{shot}_image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
            f"{shot}_segmentation": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
            f"{shot}_keypoints": tfds.features.Tensor(shape=(18, 2), dtype=np.float32),
            f"{shot}_visible": tfds.features.Tensor(shape=(18,), dtype=np.bool_),
            f"{shot}_places": tfds.features.Tensor(shape=(18, 2), dtype=np.float32),
        }
    found |= {name: tfds.features.Text() for name in _IDS}
    found |= {f"{shot}_yaw": tfds.features.Scalar(np.float32) for shot in SHOTS[:3]}
    for source in SHOTS[2:]:
        found |= {
            f"{source}_flow": tfds.features.Tensor(shape=(None, None, 2), dtype=np.int16, encoding="zlib"),
            f"{source}_flow_visible": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
        }
    return tfds.features.FeaturesDict(found)


def encoded(example: dict[str, np.ndarray]) -> dict:
    """An example as it is stored."""
    found = {}
    for name, value in example.items():
        if name.endswith("_image"):
            found[name] = _bytes(".jpg", value[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG])
        elif name.endswith(("_segmentation", "_flow_visible")):
            found[name] = _bytes(".png", value.astype(np.uint8), [])
        elif name.endswith("_flow"):
            found[name] = np.clip(np.rint(value * FLOW_UNIT), -(2**15), 2**15 - 1).astype(np.int16)
        else:
            found[name] = value
    return found


def _bytes(suffix: str, picture: np.ndarray, options: list) -> io.BytesIO:
    return io.BytesIO(cv2.imencode(suffix, picture, options)[1].tobytes())


@functools.lru_cache(len(SPLITS))
def _grounds(folder: str, split: str) -> scenes.Grounds | None:
    """Raises: UserError for a folder without pictures."""
    try:
        return scenes.Grounds(folder, split) if folder else None
    except (ValueError, OSError) as error:
        raise UserError(f"--grounds: {error}.") from None


def draw_shard(shard: Shard, settings: Settings) -> str:
    """Draws a shard, if it is not there. Raises: UserError where it cannot be written."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow_datasets.core import example_serializer

    if os.path.exists(shard.unit):
        return shard.unit
    cv2.setNumThreads(1)
    kept = features()
    serializer = example_serializer.ExampleSerializer(kept.get_serialized_info())
    numbers = range(shard.first * examples.EXAMPLES_OF_ONE, (shard.first + shard.count) * examples.EXAMPLES_OF_ONE)
    with replacing(shard.unit) as temporary, writing(shard.unit):
        writer = ArrayRecordWriter(str(temporary), "group_size:1")
        try:
            for number in numbers:
                example = examples.draw(number, shard.split, settings.size, _grounds(settings.grounds, shard.split))
                about = exchanges.about(number, shard.split)
                stored = encoded(example) | {name: about[name] for name in _IDS}
                proto = serializer.get_tf_example(kept.encode_example(stored))
                writer.write(proto.SerializeToString(deterministic=True))
        finally:
            writer.close()
    return shard.unit


def fingerprint(settings: Settings) -> str:
    """A digest of all that the pictures are made from: the settings, the code that draws, its assets, the grounds."""
    found = hashlib.sha256(json.dumps([VERSION, settings.examples, settings.size]).encode())
    package = Path(examples.__file__).parent
    files = sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    grounds = _grounds(settings.grounds, "train")
    for path in [*files, *(grounds.paths if grounds else ())]:
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _shards(settings: Settings, folder: Path) -> dict[str, list[Shard]]:
    users = -(-settings.examples // examples.EXAMPLES_OF_ONE)
    found = {}
    for split in SPLITS:
        total = users if split == "train" else -(-users // _OTHERS)
        starts = range(0, total, USERS)
        found[split] = [
            Shard(
                str(folder / f"{NAME}-{split}.array_record-{number:05d}-of-{len(starts):05d}"),
                split,
                first,
                min(USERS, total - first),
            )
            for number, first in enumerate(starts)
        ]
    return found


def build(data_dir: str | Path, settings: Settings, *, workers: int = 0, rebuild: bool = False) -> Path:
    """Draws the dataset and returns its folder; what a stopped build has drawn is used.

    Args: workers: processes, 0 for one each core. rebuild: whether a dataset that was drawn otherwise is replaced.
    Raises: UserError for settings that give nothing, a dataset that was drawn otherwise, unless `rebuild`, and a folder
    that cannot be written to.
    """
    if settings.examples < 1 or min(settings.size) < 32:
        raise UserError("--examples should be at least 1 and --size at least 32x32.")
    data_dir = Path(data_dir).expanduser().absolute()
    place, made_by = data_dir / NAME / VERSION, fingerprint(settings)
    if place.exists():
        if prepare.prepared_from(place) == made_by:
            return place
        if not rebuild:
            raise UserError(f"{place} was drawn with other settings or by other code; give --rebuild to replace it, or "
                            "another --data_dir.")  # fmt: skip
    aside = data_dir / f".incomplete-{NAME}-{made_by[:16]}"
    shards = _shards(settings, aside)
    require_writable(aside / "shard")
    todo = [shard for of_split in shards.values() for shard in of_split]
    engine.run_locally(todo, functools.partial(draw_shard, settings=settings), workers, unit="shards")
    with writing(aside):
        _describe(aside, shards, made_by)
        prepare.move(aside, place, data_dir / f".replaced-{NAME}")
        shutil.rmtree(data_dir / f".replaced-{NAME}", ignore_errors=True)
    return place


def _describe(folder: Path, shards: dict[str, list[Shard]], made_by: str) -> None:
    """Writes what makes shards a dataset of TFDS."""
    from tensorflow_datasets.core import naming

    infos = []
    for split, of_split in shards.items():
        template = naming.ShardedFileTemplate(
            data_dir=folder, dataset_name=NAME, split=split, filetype_suffix="array_record", template=_FILES
        )
        infos.append(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[shard.count * examples.EXAMPLES_OF_ONE for shard in of_split],
                num_bytes=sum(os.path.getsize(shard.unit) for shard in of_split),
                filename_template=template,
            )
        )
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=features(), split_infos=infos, filename_template=_FILES, check_data=False
    )
    (folder / "metadata.json").write_text(json.dumps({"fingerprint": made_by}))
