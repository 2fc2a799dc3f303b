"""Parts of the page: inputs that are not decoded where the server runs, and progress in HTML."""

import base64
import contextlib
import html
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from vton_jax.core.errors import UserError
from vton_jax.studio.jobs import ENDED, Job

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
.studio-tools { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: center }
.studio-tools label { display: flex; align-items: center; gap: .4rem }
.studio-tools button { border: 1px solid #8888; border-radius: .3rem; padding: .15rem .6rem }
footer { display: none !important }
"""
THEME = gr.themes.Default(
    primary_hue="blue", font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")
)  # fonts of the system: none is fetched
HEAD = f"<script>{(Path(__file__).parent / 'pages' / 'brush.js').read_text(encoding='utf-8')}</script>"


HIGH = 320  # pixels of a picture that is brought


def picture(label: str, shown: Path | None = None, **settings) -> gr.Image:
    """An input for a picture: from a file, the clipboard or a webcam, as the path of what was uploaded."""
    sources = ["upload", "webcam", "clipboard"]
    value = None if shown is None else str(shown)
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


def brush(name: str, job: Job) -> str:
    """The garment's picture with its mask under a brush (pages/brush.js), of the panel `name`; "" without a garment."""
    reading = job.result.get("reading", {})
    if "brush_picture" not in reading:
        return ""
    picture, layer = (_address(job, reading[key]) for key in ("brush_picture", "brush_layer"))
    return f'<div class="studio-brush" data-name="{name}" data-picture="{picture}" data-layer="{layer}"></div>'


@contextlib.contextmanager
def mask_file(text: str | None, folder: Path) -> Iterator[Path | None]:
    """A mask that `studioMask` gives, a data URL, as a file in a folder for a while; None where nothing was painted."""
    if not text:
        yield None
        return
    try:
        data = base64.b64decode(text.partition("base64,")[2], validate=True)
    except ValueError:
        raise UserError("The painted mask did not arrive whole; paint it again.") from None
    with tempfile.NamedTemporaryFile(dir=folder, prefix="mask_") as file:
        file.write(data)
        file.flush()
        yield Path(file.name)


def progress(job: Job, place: int) -> str:
    """How a job stands, in HTML that screen readers announce."""
    if job.state == "failed":
        return error(job.error)
    if job.state == "waiting":
        words = "you are next" if place <= 1 else f"{place} jobs come first"
        return f'<div class="studio-progress" role="status"><p>Waiting: {words}.</p></div>'
    if job.state in ENDED:
        return f'<div class="studio-progress" role="status"><p>{job.state.capitalize()}.</p></div>'
    stage, total = job.stage or "starting", max(job.total, 1)
    stopping = "" if job.wanted else " Stopping after this step."
    return (
        f'<div class="studio-progress" role="status"><p>{html.escape(stage)}: {job.done} of {total}.{stopping}</p>'
        f'<progress max="{total}" value="{job.done}" aria-label="{html.escape(stage)}"></progress></div>'
    )


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


def examples(label: str, paths: list[Path], shown: gr.components.Component) -> gr.Examples:
    """A row of pictures to choose from: a click puts one into a component."""
    return gr.Examples([[str(path)] for path in paths], inputs=[shown], label=label, examples_per_page=6)
