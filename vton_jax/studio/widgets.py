"""Parts of the page: inputs that are not decoded where the server runs, and progress in HTML."""

import base64
import contextlib
import html
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from vton_jax.core.errors import UserError
from vton_jax.studio import shown
from vton_jax.studio.jobs import ENDED, Job

PAUSE = 0.3  # seconds between looks at a job
STYLE = """
.studio-progress progress { width: 100%; height: .8rem; accent-color: #2563eb }
.studio-progress p { margin: .2rem 0 }
.studio-error { border-left: 4px solid #dc2626; padding: .4rem .8rem }
.studio-figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .8rem }
.studio-figures figure { margin: 0 } .studio-figures img { width: 100%; border-radius: .3rem }
.studio-figures figcaption { font-size: .85em; margin-top: .2rem }
.studio-clip video { max-height: 17rem }
.studio-canvas { position: relative; max-width: 24rem; margin: .5rem 0; touch-action: none }
.studio-canvas img { width: 100%; display: block } .studio-canvas canvas { position: absolute; inset: 0; width: 100%;
height: 100%; opacity: .55; cursor: crosshair; touch-action: none }
.studio-canvas { overflow: hidden } .studio-box { position: absolute; border: 2px solid #fff; outline: 1px solid #000;
box-shadow: 0 0 0 200rem #000a } .studio-box[hidden] { display: none }
.studio-live canvas { max-width: 100%; border-radius: .3rem; background: #8882 }
.studio-live video { position: absolute; width: 1px; height: 1px; opacity: 0 } .studio-live p { margin: .4rem 0 }
.studio-editors { display: flex; flex-wrap: wrap; gap: 1.2rem } .studio-editor { flex: 1 1 16rem; max-width: 24rem }
.studio-editor > p { font-weight: 600; margin: 0 0 .3rem }
.studio-tools { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: center }
.studio-tools label { display: flex; align-items: center; gap: .4rem }
.studio-tools button, .studio-tools input[type=text] { border: 1px solid #8888; border-radius: .3rem;
padding: .15rem .6rem; background: transparent; color: inherit }
:root { --color-accent: #2563eb } :root.dark, .dark { --color-accent: #60a5fa }
.wrap .or { color: inherit }
footer { display: none !important }
"""
# Fonts of the system: none is fetched. The theme's own blue is too bright for white words.
THEME = gr.themes.Default(
    primary_hue="blue", font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")
).set(
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_hover_dark="*primary_700",
)
_PAGES = Path(__file__).parent / "pages"
_SCRIPTS = ("accessible.js", "corrections.js", "live.js")
HEAD = "".join(f"<script>{(_PAGES / name).read_text(encoding='utf-8')}</script>" for name in _SCRIPTS)


_CORRECTED = ("person", *shown.GARMENTS)
HIGH = 320  # pixels of a picture that is brought


def picture(label: str, first: Path | None = None, **settings) -> gr.Image:
    """An input for a picture: from a file, the clipboard or a webcam, as the path of what was uploaded."""
    sources = ["upload", "webcam", "clipboard"]
    value = None if first is None else str(first)
    return undecoded(gr.Image(value, label=label, type="filepath", sources=sources, height=HIGH, **settings))


def undecoded(component):
    """The component, whose value comes to handlers as the path of the file that was uploaded, whatever it holds."""

    def path_of(payload) -> str | None:
        if payload is None:
            return None
        path = getattr(payload, "path", None)
        if not path:
            raise gr.Error("Upload a file.")
        return str(path)

    component.preprocess = path_of
    return component


def editors(name: str, job: Job) -> str:
    """The pictures that were read, to be corrected (pages/corrections.js), of the panel `name`."""
    parts = []
    for one in job.result.get("reading", {}).get("editors", ()):
        about = {"name": name, "of": one["of"], "box": one["box"]}
        about |= {key: _address(job, one[key]) for key in ("picture", "layer") if key in one}
        data = " ".join(f'data-{key}="{html.escape(value, quote=True)}"' for key, value in about.items())
        parts.append(f'<div class="studio-editor" {data}></div>')
    return f'<div class="studio-editors">{"".join(parts)}</div>'


class Corrections(NamedTuple):
    """What `studioCorrections` gives: by `person`, `garment` and `second_garment`, masks as data URLs, and boxes."""

    masks: dict[str, str]
    boxes: dict[str, str]

    @classmethod
    def of(cls, text: str) -> "Corrections":
        """Raises: UserError."""
        try:
            held = json.loads(text or "{}")
            masks, boxes = (
                {name: str(held.get(kind, {})[name]) for name in _CORRECTED if held.get(kind, {}).get(name)}
                for kind in ("masks", "boxes")
            )
        except (ValueError, AttributeError, TypeError):
            raise UserError("The corrections did not arrive whole; make them again.") from None
        return cls(masks, boxes)

    def only(self, names: Collection[str]) -> "Corrections":
        """Those of some pictures."""
        return Corrections(*({name: held[name] for name in held if name in names} for held in self))


@contextlib.contextmanager
def mask_files(masks: Mapping[str, str], folder: Path) -> Iterator[dict[str, Path]]:
    """Masks, data URLs by name, as files in a folder for a while. Raises: UserError."""
    with contextlib.ExitStack() as stack:
        found = {}
        for name, text in masks.items():
            try:
                data = base64.b64decode(text.partition("base64,")[2], validate=True)
            except ValueError:
                raise UserError("The painted mask did not arrive whole; paint it again.") from None
            file = stack.enter_context(tempfile.NamedTemporaryFile(dir=folder, prefix="mask_"))
            file.write(data)
            file.flush()
            found[name] = Path(file.name)
        yield found


def progress(job: Job, place: int) -> str:
    """How a job stands, in HTML that screen readers announce."""
    if job.state == "failed":
        return error(job.error)
    if job.state == "waiting":
        text = f"<p>Waiting: {'you are next' if place <= 1 else f'{place} jobs come first'}.</p>"
    elif job.state in ENDED:
        text = f"<p>{job.state.capitalize()}.</p>"
    else:
        stage, total = html.escape(job.stage or "starting"), max(job.total, 1)
        stopping = "" if job.wanted else " Stopping after this step."
        text = f"<p>{stage}: {job.done} of {total}.{stopping}</p>"
        text += f'<progress max="{total}" value="{job.done}" aria-label="{stage}"></progress>'
    # The id tells this job's "Done." from that of the job before, which may look the same.
    return f'<div class="studio-progress" role="status" data-job="{job.id}">{text}</div>'


def error(text: str) -> str:
    return f'<div class="studio-error" role="alert">{html.escape(text)}</div>'


def figures(job: Job, pictures: list) -> str:
    """Pictures of a job, (path, caption) each, side by side as far as there is room."""
    parts = []
    for path, caption in pictures:
        at, said = _address(job, path), html.escape(caption, quote=True)
        parts.append(f'<figure><img src="{at}" alt="{said}" loading="lazy"><figcaption>{said}</figcaption></figure>')
    return f'<div class="studio-figures">{"".join(parts)}</div>'


def _address(job: Job, path: str) -> str:
    return f"/api/jobs/{job.id}/pictures/{Path(path).name}"


def examples(label: str, paths: list[Path], target: gr.components.Component) -> gr.Examples:
    """A row of pictures to choose from: a click puts one into a component."""
    return gr.Examples([[str(path)] for path in paths], inputs=[target], label=label, examples_per_page=6)
