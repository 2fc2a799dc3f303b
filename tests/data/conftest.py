"""What the tests of data share: data/build.py in this process."""

import contextlib
import runpy
import sys
from pathlib import Path

import pytest

LIBRARIES = "absl", "tensorflow_datasets", "grain", "array_record", "apache_beam"  # that define flags, or may
SCRIPT = Path(__file__).resolve().parents[2] / "data" / "build.py"


@pytest.fixture
def build_script(monkeypatch, capsys):
    """Runs data/build.py in this process, with flags of its own: build_script('doctor', '--flag', ...) -> (exit code,
    what it said on stdout, and on stderr).
    """
    from absl import flags

    with contextlib.suppress(ImportError):
        import grain  # noqa: F401  its flags are defined once, when it is imported

    known = dict(vars(flags.FLAGS))

    def only(flag_values):
        vars(flags.FLAGS).clear()
        vars(flags.FLAGS).update(flag_values)

    def run(*arguments):
        # Libraries ask for their own flags; what tests of other entry points have left is not for this one.
        fresh = vars(flags.FlagValues())
        theirs = [module for module in known["__flags_by_module"] if module.split(".")[0] in LIBRARIES]
        names = {flag.name for module in theirs for flag in known["__flags_by_module"][module]}
        fresh["__flags"] = {name: flag for name, flag in known["__flags"].items() if name in names}
        only(fresh)
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "path", list(sys.path))  # which the script changes
            patch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
            try:
                runpy.run_path(str(SCRIPT), run_name="__main__")
                code = 0
            except SystemExit as stopped:
                code = stopped.code
        return code, *capsys.readouterr()

    yield run
    only(known)
