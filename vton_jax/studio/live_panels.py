"""Pictures that move: the live mirror, and a picture that a clip or a camera brings to life."""

import asyncio
import html
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import gradio as gr

from vton_jax.core.errors import UserError
from vton_jax.studio import gallery, widgets
from vton_jax.studio.job_panel import SHARED, JobPanel
from vton_jax.studio.jobs import Job
from vton_jax.studio.service import Service

_CONSENT = (
    "Use pictures of people who have agreed to it, and do not pass results off as recordings. The camera's pictures go "
    "to this studio alone, and are not kept."
)
# Asks for the camera before the job is put in; what is wrong with it is the last value.
_ASKS = "async (...values) => [...values.slice(0, -1), await studioCamera()]"


def _live(job: Job, keys: list[tuple[str, str]]) -> str:
    """Where pages/live.js shows a live session. Args: keys: (key, what it does) of its buttons."""
    said = html.escape(json.dumps(keys), quote=True)
    return f'<div class="studio-live" data-job="{job.id}" data-keys="{said}"></div>'


class _LivePanel:
    """What both share: a live session is put in, and shown. It has `service`, `live` and `progress`."""

    async def _show_live(self, camera: str, keys: list[tuple[str, str]], put: Callable[[], Job]) -> dict:
        try:
            if camera:
                raise UserError(camera)
            job = await asyncio.to_thread(put)
        except UserError as error:
            return {self.progress: widgets.error(str(error)), self.live: ""}
        return {self.progress: "", self.live: _live(job, keys)}


class MirrorPanel(_LivePanel):
    """Whoever is before the camera, in a garment."""

    def __init__(self, service: Service):
        self.service = service
        gr.Markdown(
            "Whoever stands before the camera sees themselves in the garment, dressed on this machine. A laptop's "
            "processor dresses two or three pictures a second; on those between, the garment is carried along. "
            f"{_CONSENT}"
        )
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                garments = [widgets.picture("Garment, flat or worn", gallery.GARMENT)]
                widgets.examples("Example garments", gallery.garments(), garments[0])
                with gr.Accordion("And another, to change to", open=False):
                    garments.append(widgets.picture("Another garment"))
                types = ["auto", "upper", "lower", "dress", "outfit"]
                kind = gr.Dropdown(types, value="auto", label="Type of the garments", min_width=160)
                flip = gr.Checkbox(True, label="Left and right as in a mirror")
                start = gr.Button("Start the mirror", variant="primary")
            with gr.Column(scale=3, min_width=320):
                self.progress = gr.HTML("", label="Progress")
                self.live = gr.HTML("", label="The mirror")
        camera = gr.Textbox(visible=False)
        asked = [*garments, kind, flip, camera]
        start.click(self._start, asked, [self.progress, self.live], js=_ASKS, **SHARED)

    async def _start(self, first, second, kind, flip, camera):
        files = {"garment": [Path(path) for path in (first, second) if path]}
        keys = [("m", "Exchange left and right")]
        if len(files["garment"]) > 1:
            keys += [("1", "First garment"), ("2", "Second garment")]
        asked = {"garment_type": kind, "flip": bool(flip)}
        return await self._show_live(camera, keys, lambda: self.service.live("mirror", asked, files))


class DrivePanel(_LivePanel, JobPanel):
    """A picture moves as a clip, or as whoever is before the camera."""

    def __init__(self, service: Service, job: gr.BrowserState):
        super().__init__(service, job)
        gr.Markdown(
            "A face or a body in a picture moves as in a clip, or as yours does before the camera. The networks have "
            f"seen drawn people alone: small motion holds, larger tears. {_CONSENT}"
        )
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                source = widgets.picture("Picture", gallery.PERSON)
                widgets.examples("Example people", gallery.people(), source)
                clip = gr.Video(
                    str(gallery.POSE), label="Clip that drives it", sources=["upload", "webcam"],
                    elem_classes="studio-clip",
                )  # fmt: skip
                motion = gr.Radio(
                    [("as it has moved since a reference", "relative"), ("the poses as they are", "absolute")],
                    value="relative", label="Motion",
                )  # fmt: skip
                region = gr.Radio(["auto", "face", "body"], value="auto", label="What moves")
                beside = gr.Checkbox(False, label="Show what drives beside it")
                with gr.Row():
                    drive = gr.Button("Bring to life", variant="primary", min_width=120)
                    live = gr.Button("Live, by the camera", min_width=120)
                    stop = gr.Button("Cancel", min_width=120)
            with gr.Column(scale=3, min_width=320):
                self.progress = gr.HTML("", label="Progress")
                self.clip = gr.Video(label="The driven clip", autoplay=True, loop=True, interactive=False, height=460)
                self.live = gr.HTML("", label="Live")
        camera = gr.Textbox(visible=False)
        asked = [source, widgets.undecoded(clip), motion, region, beside]
        drive.click(self._drive, asked, self._shown, **SHARED)
        live.click(self._start, [*asked, camera], [self.progress, self.live], js=_ASKS, **SHARED)
        self._stops(stop)

    @property
    def _outputs(self) -> list:
        return [self.clip]

    async def _start(self, source, clip, *values):
        *values, camera = values
        keys = [("x", "Take this moment as reference"), ("f", "Search the best reference")]
        put = lambda: self.service.live("drive", _motion(values), _source(source))  # noqa: E731
        return await self._show_live(camera, keys, put)

    async def _drive(self, source, clip, *values) -> AsyncIterator[dict]:
        def put() -> Job:
            files = _source(source) | {"driving_clip": clip and Path(clip)}
            return self.service.drive(_motion(values), files)

        async for shown in self._begin(put):
            yield shown

    def _found(self, job: Job) -> dict:
        return {self.clip: job.result["clip"]}


def _source(path: str | None) -> dict[str, Path]:
    if path is None:
        raise UserError("Choose a picture first.")
    return {"source": Path(path)}


def _motion(values) -> dict:
    motion, region, beside = values
    return {"motion": motion, "region": region, "side_by_side": bool(beside)}
