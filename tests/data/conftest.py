"""What the tests of data share: data/build.py in this process."""

import contextlib
import runpy
import sys
from pathlib import Path

import own_flags
import pytest

LIBRARIES = "absl", "tensorflow_datasets", "grain", "array_record", "apache_beam"  # that define flags, or may
SCRIPT = Path(__file__).resolve().parents[2] / "data" / "build.py"


@pytest.fixture
def build_script(monkeypatch, capsys):
    """Runs data/build.py in this process, with flags of its own: build_script('doctor', '--flag', ...) -> (exit code,
    what it said on stdout, and on stderr).
    """
    with contextlib.suppress(ImportError):
        import grain  # noqa: F401  its flags are defined once, when it is imported

    def run(*arguments):
        capsys.readouterr()
        with own_flags.fresh(LIBRARIES), monkeypatch.context() as patch:
            patch.setattr(sys, "path", list(sys.path))  # which the script changes
            patch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
            try:
                runpy.run_path(str(SCRIPT), run_name="__main__")
                code = 0
            except SystemExit as stopped:
                code = stopped.code
        return code, *capsys.readouterr()

    return run
