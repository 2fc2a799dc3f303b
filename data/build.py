"""Prepares and checks datasets: python data/build.py pose_and_dress --source=DIR --data_dir=DIR

The first argument is a dataset (a folder of `data/`), which is then prepared, or a command. Every setting of a dataset
is a flag: `python data/build.py NAME --help` lists them. Commands:

  doctor --dataset=NAME --source=DIR   says what is wrong with a folder, and how to mend it
  check --data_dir=DIR                 proves that splits share no person, garment or near-duplicate picture
  hands --data_dir=DIR                 hands at rest as the catalogue's body has them, which the package ships
  legs --data_dir=DIR                  its bare legs, seen from everywhere, likewise
  stances --source=DIR --data_dir=DIR --pose_model=FILE   how its people stand, which the package ships
  garments --source=DIR --data_dir=DIR cloth for the catalogue, of flat photos DIR/TYPE/*.jpg
  pictures --kind=KIND --source=DIR --data_dir=DIR   files from which ReaderCNN learns, see data/pictures.py
  clips --source=DIR --data_dir=DIR    clips of people from which FirstOrder learns, see data/driving_clips.py
  grounds --source=DIR --data_dir=DIR  photos of Clothing Co-Parsing without their people, for `catalogue`

`catalogue` draws its examples and has no source: python data/build.py catalogue --data_dir=DIR --examples=30000

A dataset is built aside and moved into place when whole; one that was prepared from another source, or with other
settings, is not touched without --rebuild.
"""

import importlib
import sys
from pathlib import Path

# `python data/build.py` puts data/ on the import path, not the root.
ROOT = Path(__file__).resolve().parent.parent
sys.path = [str(ROOT)] + [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT / "data"]

from absl import flags

from data import prepare
from vton_jax.command_line import flag_utils
from vton_jax.core.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string("source", None, "Folder of what the dataset is made from.")
flags.DEFINE_string("data_dir", None, "Folder below which the dataset is written.")
flags.DEFINE_string(
    "work_dir", None, "Folder of what is finished of a build (default: DATA_DIR/work); keep it to go on."
)
flags.DEFINE_integer(
    "workers", 0, "Local processes for raw videos and drawn examples (0: one for each core).", lower_bound=0
)
flags.DEFINE_string("runner", "local", "Where raw videos are worked on: local processes, or the name of a Beam runner.")
flags.DEFINE_list("beam_options", [], "Further options of Beam, separated by commas: --region=...,--project=...")
flags.DEFINE_boolean("rebuild", False, "Replace a dataset that was prepared from another source or otherwise.")

flags.DEFINE_string("dataset", None, "The dataset's name, for doctor.")
flags.DEFINE_integer("most", 0, "Garments of each type and split, for garments (0: all).", lower_bound=0)
flags.DEFINE_integer("photos", 0, "Photos that are looked at of each type and split (0: all).", lower_bound=0)


def datasets() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "data").glob("*/*.py") if path.stem == path.parent.name)


def find_builder(name: str):
    """The module of a dataset by its name."""
    return importlib.import_module(f"data.{name}.{name}")


def prepare_dataset(name: str) -> None:
    module = find_builder(name)
    if hasattr(module, "build"):  # it has no source
        if not FLAGS.data_dir:
            raise UserError("Give --data_dir=DIR, where the dataset goes.")
        settings = flag_utils.build_settings(module.Settings)
        _say(module.build(FLAGS.data_dir, settings, workers=FLAGS.workers, rebuild=FLAGS.rebuild))
        return
    if not FLAGS.source or not FLAGS.data_dir:
        raise UserError("Give --source=DIR, the folder of the videos, and --data_dir=DIR, where the dataset goes.")
    settings = flag_utils.build_settings(module.Settings)
    options = {}
    if hasattr(module.Builder, "execution_options"):  # it works on raw videos
        work_dir = FLAGS.work_dir or Path(FLAGS.data_dir) / "work"
        options = module.Builder.execution_options(work_dir, FLAGS.workers, FLAGS.runner, FLAGS.beam_options)
    _say(prepare.build(module, FLAGS.source, FLAGS.data_dir, rebuild=FLAGS.rebuild, settings=settings, **options))


def _say(place: Path) -> None:
    """Prints what a prepared dataset holds."""
    import tensorflow_datasets as tfds

    splits = tfds.builder_from_directory(str(place)).info.splits
    listed = ", ".join(f"{splits[name].num_examples} {name}" for name in sorted(splits))
    print(f"{place}: {listed} samples", file=sys.stderr)


def examine_folder() -> None:
    """doctor: says what is wrong with a folder; exit code 1 where something keeps examples from being made."""
    from data import doctor

    known = [name for name in datasets() if hasattr(find_builder(name), "Source")]
    module = find_builder(flag_utils.choose(FLAGS.dataset, known, "dataset"))
    if not FLAGS.source:
        raise UserError("Give --source=DIR, the folder to look at.")
    findings, counts = doctor.examine(lambda folder: module.Source(folder, module.Settings()), FLAGS.source)
    print(doctor.report(FLAGS.dataset, findings, counts))
    if any(finding.serious for finding in findings):
        raise SystemExit(1)


def check_leakage() -> None:
    """check: proves that the parts of prepared datasets share nothing; exit code 1 where they do."""
    from data import leakage
    from vton_jax.inputs import input_pipeline

    if not FLAGS.data_dir:
        raise UserError("Give --data_dir=DIR, the folder of a prepared dataset.")
    folder = input_pipeline.find_dataset(FLAGS.data_dir)
    report = leakage.check(folder)
    for split, digest in report.hashes.items():
        print(f"{split}: split {digest}")
    for line in report.problems + report.suspected:
        print(line)
    print(f"{folder}: {len(report.problems)} leaks among {report.pictures} pictures; the split's hash is {report.hash}")
    if report.suspected:
        print(f"{len(report.suspected)} pairs of garments look alike and may be one; nobody knows but the shop")
    if report.problems:
        raise SystemExit(1)


def make_grounds() -> None:
    """grounds: pictures of places, from photos of people with label maps."""
    from data.catalogue import grounds

    if not FLAGS.source or not FLAGS.data_dir:
        raise UserError("Give --source=DIR, the folder of Clothing Co-Parsing, and --data_dir=DIR, where they go.")
    grounds.build(FLAGS.source, FLAGS.data_dir)


def make_stances() -> None:
    """stances: how people stand, from photos."""
    from data.catalogue import stances

    if not FLAGS.source or not FLAGS.data_dir or not FLAGS.pose_model:
        raise UserError("Give --source=DIR, the folder of Clothing Co-Parsing, --pose_model=FILE, MediaPipe's pose "
                        "landmarks, and --data_dir=DIR, where they go.")  # fmt: skip
    stances.build(FLAGS.source, FLAGS.pose_model, Path(FLAGS.data_dir).expanduser() / "stances.npz")


def make_hands() -> None:
    """hands: hands at rest, as the catalogue's body has them."""
    from data.catalogue import hands

    if not FLAGS.data_dir:
        raise UserError("Give --data_dir=DIR, where hands.npz goes.")
    hands.build(Path(FLAGS.data_dir).expanduser() / "hands.npz")


def make_legs() -> None:
    """legs: bare legs, as the catalogue's body has them."""
    from data.catalogue import legs

    if not FLAGS.data_dir:
        raise UserError("Give --data_dir=DIR, where legs.npz goes.")
    legs.build(Path(FLAGS.data_dir).expanduser() / "legs.npz")


def make_garments() -> None:
    """garments: makes cloth of flat photos of garments, see data/garments.py."""
    from data import garments

    if not FLAGS.source or not FLAGS.data_dir:
        raise UserError("Give --source=DIR, the folder of the photos, and --data_dir=DIR, where the garments go.")
    print(garments.build(FLAGS.source, FLAGS.data_dir, garments.Settings(FLAGS.most, FLAGS.photos)))


def make_pictures() -> None:
    """pictures: files from which ReaderCNN learns, see data/pictures.py."""
    from data import pictures

    settings = flag_utils.build_settings(pictures.Settings)
    if not settings.kind or not FLAGS.data_dir or not FLAGS.source:
        raise UserError("Give --kind=KIND, --source=DIR, what it is made from, and --data_dir=DIR, where it goes; "
                        f"kinds are {', '.join(pictures.MAKERS)}.")  # fmt: skip
    pictures.build(FLAGS.source, FLAGS.data_dir, settings)


def make_clips() -> None:
    """clips: clips of faces or bodies from which FirstOrder learns, see data/driving_clips.py."""
    from data import driving_clips

    if not FLAGS.source or not FLAGS.data_dir:
        raise UserError("Give --source=DIR, the folder of the clips, and --data_dir=DIR, where they go.")
    count = driving_clips.build(FLAGS.source, FLAGS.data_dir, flag_utils.build_settings(driving_clips.Settings))
    print(f"{FLAGS.data_dir}: {count} clips")


# What can stand first beside a dataset's name.
COMMANDS = {
    "clips": make_clips,
    "doctor": examine_folder,
    "check": check_leakage,
    "garments": make_garments,
    "grounds": make_grounds,
    "hands": make_hands,
    "legs": make_legs,
    "pictures": make_pictures,
    "stances": make_stances,
}


def main() -> None:
    if _NAME in COMMANDS:
        COMMANDS[_NAME]()
    elif _NAME in datasets():
        prepare_dataset(_NAME)
    else:
        known = ", ".join([*COMMANDS, *datasets()])
        wrong = f"There is no dataset {_NAME!r}" if _NAME else "Give the dataset's name: python data/build.py NAME"
        raise UserError(f"{wrong}; known are: {known}.")


_NAME = None


def run(argv: list[str]) -> None:
    """Runs a command line: its first argument without dashes names the dataset or the command; the rest are flags."""
    global _NAME
    arguments = argv[1:]
    if arguments and not arguments[0].startswith("-"):
        _NAME = arguments.pop(0)
    if (settings_of := {"stances": "ccp"}.get(_NAME, _NAME)) in datasets():
        flag_utils.define_settings(find_builder(settings_of).Settings)
    if _NAME == "pictures":
        from data import pictures

        flag_utils.define_settings(pictures.Settings)
    if _NAME == "clips":
        from data import driving_clips

        flag_utils.define_settings(driving_clips.Settings)
    flag_utils.run(main, argv=[argv[0], *arguments])


if __name__ == "__main__":
    run(sys.argv)
