"""What pip installs: the wheel carries commands, weights and samples, and works from any folder."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vton_jax.command_line import commands

ROOT = Path(__file__).resolve().parents[1]


def run(*command, cwd, environment=os.environ):
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel, installed into a folder beside the packages that are there: (folder, wheel, environment)."""
    place = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (place / "source").mkdir(exist_ok=True)
        shutil.copy(ROOT / name, place / "source" / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "vton_jax", place / "source" / "vton_jax", ignore=ignored)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    made = run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", ".", "./source", cwd=place)
    assert made.returncode == 0, made.stderr
    (wheel,) = place.glob("*.whl")
    done = run(*pip, "install", "--no-deps", "--target", "site", wheel.name, cwd=place)
    assert done.returncode == 0, done.stderr
    return place / "site", wheel, os.environ | {"PYTHONPATH": str(place / "site"), "JAX_PLATFORMS": "cpu"}


def test_the_wheel_holds_the_package_alone(installed):
    names = zipfile.ZipFile(installed[1]).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"vton_jax"}
    for wanted in (
        "weights/multi_path_cnn.safetensors", "samples/pose.mp4", "flagfiles/multi_path_cnn.flags",
        "catalogue/assets/base_mesh.npz", "catalogue/assets/hair/long01.npz",
        "catalogue/assets/garments/index.npz", "catalogue/assets/garments/leave_out.txt",
    ):  # fmt: skip
        assert f"vton_jax/{wanted}" in names


def test_the_console_script_names_commands_version_and_weights(installed, tmp_path):
    site, _, environment = installed
    vton = site / "bin" / "vton"
    said = run(sys.executable, vton, "--version", cwd=tmp_path, environment=environment).stdout
    digest = hashlib.sha256((ROOT / "vton_jax" / "weights" / "re_map_cnn.safetensors").read_bytes()).hexdigest()[:12]
    assert said.startswith("vton-jax 0.") and f"re_map_cnn  {digest}" in said
    listed = run(sys.executable, vton, cwd=tmp_path, environment=environment).stdout
    assert all(name in listed for name in commands.COMMANDS)
    wrong = run(sys.executable, vton, "rendr", cwd=tmp_path, environment=environment)
    assert wrong.returncode == 2 and "did you mean render?" in wrong.stderr and "Traceback" not in wrong.stderr
    for name in commands.COMMANDS:
        helped = run(sys.executable, vton, name, "--help", cwd=tmp_path, environment=environment)
        assert helped.returncode == 0 and "--" in helped.stdout, helped.stderr


def test_it_renders_from_another_folder(installed, tmp_path):
    site, _, environment = installed
    arguments = ("render", "--num_frames=1", "--output=clip.mp4")
    done = run(sys.executable, site / "bin" / "vton", *arguments, cwd=tmp_path, environment=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clip.mp4").stat().st_size > 0 and (tmp_path / "clip.png").stat().st_size > 0
