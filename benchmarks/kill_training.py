"""Kills a training with SIGKILL at random moments, resumes it each time, and compares its end with an undisturbed run.

    python benchmarks/kill_training.py --kills=20

Every other kill waits until a checkpoint is being written, the others come at any moment from the start of Python.
Prints a Markdown table; exits with 1 unless the states are equal bit by bit and the logged numbers are the same.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags, logging

ROOT = Path(__file__).resolve().parents[1]
FLAGS = flags.FLAGS
flags.DEFINE_integer("kills", 20, "How often to kill.", lower_bound=1)
flags.DEFINE_string("recipe", "re_map_cnn_smoke", "The recipe in vton_jax/flagfiles to train.")
flags.DEFINE_integer("steps_per_kill", 10, "Steps of the run for every kill.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the moments.")


def command(workdir: Path, cache: Path) -> list[str]:
    """A training that logs every step and saves every other one."""
    return [
        sys.executable,
        str(ROOT / "train.py"),
        f"--flagfile={ROOT}/vton_jax/flagfiles/{FLAGS.recipe}.flags",
        f"--workdir={workdir}",
        f"--compilation_cache={cache}",
        f"--num_steps={FLAGS.kills * FLAGS.steps_per_kill}",
        "--checkpoint_every=2",
        "--pictures_every=0",
    ]


def checkpoints_of(workdir: Path) -> list[int]:
    return sorted(int(path.name) for path in workdir.glob("checkpoints/*") if path.name.isdigit())


def being_saved(workdir: Path) -> list[Path]:
    return list(workdir.glob("checkpoints/*orbax-checkpoint-tmp*"))


def logged(workdir: Path) -> list[dict]:
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in ("time", "steps_per_second")} for line in lines]


def arrays_of(workdir: Path) -> dict[str, np.ndarray]:
    """{path: array} of the newest checkpoint's state."""
    import jax
    import orbax.checkpoint as ocp

    folder = workdir / "checkpoints" / str(checkpoints_of(workdir)[-1]) / "state"
    with ocp.PyTreeCheckpointer() as reader:
        shapes = reader.metadata(folder).item_metadata.tree
        tree = reader.restore(folder, restore_args=jax.tree.map(lambda _: ocp.RestoreArgs(np.ndarray), shapes))
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def kill_once(workdir: Path, cache: Path, inside_a_save: bool, longest: float, generator: random.Random) -> dict:
    """Starts the training, kills it, and tells what it had reached.

    Either at any moment of the first `longest` seconds, or while the first, second or third checkpoint is written.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command(workdir, cache), stderr=said)
        begun = time.monotonic()
        if inside_a_save:
            target, seen = generator.randint(1, 3), {path.name for path in being_saved(workdir)}
            while process.poll() is None and target:
                if new := {path.name for path in being_saved(workdir)} - seen:
                    seen |= new
                    target -= 1
                time.sleep(0.001)
            time.sleep(generator.uniform(0, 0.03))
        else:
            until = begun + generator.uniform(0, longest)
            while process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
        process.kill()
        code = process.wait()
        said.seek(0)
        text = said.read()
    return {
        "meant": "inside a save" if inside_a_save else "anywhere",
        "seconds": time.monotonic() - begun,
        "half-written": bool(being_saved(workdir)),
        "whole": (checkpoints_of(workdir) or ["none"])[-1],
        "set aside": text.count("is damaged"),
        "ended itself": code != -9,
    }


def main(_) -> None:
    logging.set_verbosity(logging.ERROR)
    generator = random.Random(FLAGS.seed)
    with tempfile.TemporaryDirectory() as folder:
        cache, whole, parts = (Path(folder) / name for name in ("cache", "whole", "parts"))
        subprocess.run(command(whole, cache), check=True, stderr=subprocess.DEVNULL)
        print("| kill | meant | seconds after the start | a checkpoint half-written | newest whole checkpoint |")
        print("|---|---|---|---|---|", flush=True)
        kills, longest = [], 0.0
        for number in range(1, FLAGS.kills + 1):
            kill = kill_once(parts, cache, number % 2 == 1, longest, generator)
            kills.append(kill)
            if number % 2 == 1:
                longest = 1.3 * kill["seconds"]  # from Python's start to a save, and some steps more
            ended = " (had ended)" if kill["ended itself"] else ""
            print(f"| {number} | {kill['meant']}{ended} | {kill['seconds']:.1f} | "
                  f"{'yes' if kill['half-written'] else 'no'} | {kill['whole']} |", flush=True)  # fmt: skip
        subprocess.run(command(parts, cache), check=True, stderr=subprocess.DEVNULL)
        one, two = arrays_of(whole), arrays_of(parts)
        different = [name for name in one.keys() | two.keys() if not np.array_equal(one.get(name), two.get(name))]
        same = logged(whole) == logged(parts)
        counts = {name: sum(kill[name] for kill in kills) for name in ("half-written", "ended itself", "set aside")}
        print(f"\n{len(kills)} kills, {counts['half-written']} with a checkpoint half-written, "
              f"{counts['ended itself']} too late; {counts['set aside']} checkpoints set aside; {len(one)} arrays, "
              f"{len(different)} differ; logged numbers {'are the same' if same else 'differ'}.")  # fmt: skip
        if different or not same:
            raise SystemExit(1)


if __name__ == "__main__":
    app.run(main)
