"""All commands, by the names that `vton NAME` and `python -m vton_jax.NAME` know them by.

A command is a module whose docstring is its help. It defines its flags when it is imported, and has `main()` and, where
flags depend on others' values, `define_more_flags(arguments)`.
"""

import hashlib
import importlib
import sys
from importlib import metadata
from pathlib import Path

from vton_jax.command_line import flag_utils

COMMANDS = {
    "render": "photo + garment + poses -> clip and contact sheet",
    "read": "says what pictures show: person or garment, type, sleeves, facing; vton read PICTURE...",
    "inpaint": "fills in a garment of a photo in several ways, compatible with the rest",
    "studio": "opens the studio: a page and an API to try on clothes",
    "study": "a user study of results: create, serve, report",
    "drive": "brings a picture to life: a face or a body moves as a clip or a camera shows",
    "mirror": "whoever stands before a camera, live, in a garment",
    "invert": "the backward procedure on one frame, watched",
    "train": "trains a network; resumes exactly",
    "cache_examples": "prepares what networks learn from that learn from others' readings",
    "evaluate": "scores systems on pictures with their truth",
    "benchmark": "a public benchmark of counterfactual try-on: export, answer, score",
    "export": "writes the networks of a try-on as ONNX files, each compared with ours",
    "catalogue": "writes videos of drawn people, and their garments, with exact truth",
}
WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


def version() -> str:
    """The version, and the released weights with the first twelve digits of their SHA-256, a line each."""
    lines = [f"vton-jax {metadata.version('vton-jax')}"]
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        lines.append(f"  {path.stem}  {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}")
    return "\n".join(lines)


def usage() -> str:
    lines = ["vton COMMAND --name=value ...; vton COMMAND --help explains the flags of a command.", ""]
    lines += [f"  {name:<16}{what}" for name, what in COMMANDS.items()]
    return "\n".join([*lines, "", "vton --version names the version and the released weights."])


def main() -> None:
    """The console script `vton`."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name == "--version":
        print(version())
    elif name in ("--help", "-h", "help"):
        print(usage())
    elif name not in COMMANDS:
        print(f"vton {name} is no command{flag_utils.did_you_mean(name, list(COMMANDS)) or '.'}\n", file=sys.stderr)
        print(usage(), file=sys.stderr)
        raise SystemExit(2)
    else:
        command = importlib.import_module(f"vton_jax.{name}")
        if hasattr(command, "__path__"):  # a package: its command is what python -m runs
            command = importlib.import_module(f"vton_jax.{name}.__main__")
        more = getattr(command, "define_more_flags", None)
        flag_utils.run(command.main, more, [f"vton {name}", *sys.argv[2:]])
