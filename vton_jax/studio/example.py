"""The packaged sample, rendered: what the page shows before anybody has asked for anything.

`python -m vton_jax.studio --render_example=vton_jax/samples/rendered` makes it again, as with new weights.
"""

import json
from pathlib import Path
from typing import Any

from vton_jax.systems.pictures import SAMPLES

FOLDER = SAMPLES / "rendered"


def packaged(folder: Path = FOLDER) -> tuple[dict[str, Any], tuple[str, ...]] | None:
    """(result, notes) as `try_on.dress` gave them, with paths where the files lie; None where there are none."""
    about = folder / "result.json"
    if not about.is_file():
        return None
    held = json.loads(about.read_text(encoding="utf-8"))
    return _placed(held["result"], folder), tuple(held["notes"])


def _placed(value, folder: Path):
    """A result whose names of files have become paths."""
    if isinstance(value, dict):
        return {name: _placed(item, folder) for name, item in value.items()}
    if isinstance(value, list):
        return [_placed(item, folder) for item in value]
    return str(folder / value) if isinstance(value, str) and value.endswith((".png", ".mp4", ".zip")) else value


def render(folder: Path, weights: str | None = None) -> None:
    """Dresses the sample and writes all that the page shows into a folder."""
    from vton_jax.core import files
    from vton_jax.studio import try_on
    from vton_jax.studio.jobs import Job
    from vton_jax.systems.options import JobOptions

    folder = folder.resolve()
    files.require_writable(folder / "result.json")
    kept = try_on.Systems()
    job = Job(id="example", folder=folder, work=None)
    result = try_on.dress(job, JobOptions(weights=weights), kept)
    middle = result["machine"][len(result["machine"]) // 2]["frame"]
    result |= try_on.watch_search(job, job.kept, kept, middle)
    for surplus in ("coarse.png", "steps.png", "final.png", "error.csv", "try_on.png", "try_on.zip"):
        (folder / surplus).unlink(missing_ok=True)
    result = {name: value for name, value in result.items() if name not in ("errors", "sheet", "save")}
    text = json.dumps({"result": result, "notes": job.notes}, indent=1).replace(f"{folder}/", "")
    files.write_text(folder / "result.json", text + "\n")
