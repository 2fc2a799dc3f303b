"""The page: a tab for each system that works. It needs the extra `studio`."""

from collections.abc import AsyncIterator
from pathlib import Path

import gradio as gr

from vton_jax import systems
from vton_jax.core.errors import UserError
from vton_jax.studio import gallery, widgets
from vton_jax.studio.job_panel import SHARED, JobPanel
from vton_jax.studio.jobs import Job
from vton_jax.studio.live_panels import DrivePanel, MirrorPanel
from vton_jax.studio.panels import TryOnPanel
from vton_jax.studio.service import Service

_TITLES = {"lab126": "Try on", "clothflow": "ClothFlow"}
_ABOUT = """# Try-on studio
One photo, one garment and some poses become a clip of that person wearing that garment. What is uploaded stays on this
machine and is removed after {minutes} minutes.
[The same over HTTP](/api/docs)."""


def build(service: Service) -> gr.Blocks:
    """The page of a service."""
    keep = 60 * service.options.keep_minutes
    stills = gallery.stills(service.uploaded / "poses")
    with gr.Blocks(title="Try-on studio", delete_cache=(min(600, keep), keep), analytics_enabled=False) as page:
        gr.Markdown(_ABOUT.format(minutes=service.options.keep_minutes))
        # Outside the tabs: what is in one that was not opened yet does not know what the browser has kept.
        jobs = {
            name: gr.BrowserState({}, storage_key=f"studio_{name}", secret="of this tab") for name in systems.SYSTEMS
        }
        filled, driven = (gr.BrowserState("", storage_key=f"studio_{name}", secret="of this tab")
                          for name in ("fill_in", "drive"))  # fmt: skip
        with gr.Tabs():
            for name in systems.SYSTEMS:
                with gr.Tab(_TITLES.get(name, name), render_children=True) as tab:
                    # What lies in tabs of a tab takes no values before that is open.
                    opened = page.load if name == next(iter(systems.SYSTEMS)) else tab.select
                    TryOnPanel(service, name, jobs[name], stills).when_shown(opened)
            with gr.Tab("Fill in", render_children=True):
                _InpaintPanel(service, filled).when_loaded(page)
            with gr.Tab("Mirror"):
                MirrorPanel(service)
            with gr.Tab("Drive", render_children=True):
                DrivePanel(service, driven).when_loaded(page)
    return page.queue(default_concurrency_limit=None, max_size=200)


class _InpaintPanel(JobPanel):
    """FiNet: a garment is taken away and filled in again in several ways."""

    def __init__(self, service: Service, job: gr.BrowserState):
        super().__init__(service, job)
        gr.Markdown(
            "A garment is taken away and filled in again in several ways that go with the rest (FiNet). Its weights "
            "have had an hour of training: hues and cuts differ, but cloth has no folds or prints yet."
        )
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                self.person = widgets.picture("Person", gallery.people()[1])
                widgets.examples("Example people", gallery.people(), self.person)
                self.region = gr.Radio(["top", "bottom", "hat", "shoes"], value="top", label="What is filled in")
                self.count = gr.Slider(1, 8, value=4, step=1, label="How many fillings")
                self.vary = gr.Radio(["both", "shape", "appearance"], value="both", label="What differs between them")
                self.seed = gr.Number(0, precision=0, minimum=0, label="Seed")
                self.garment = widgets.picture("Or a garment to put on")
                with gr.Row():
                    fill, stop = gr.Button("Fill in", variant="primary"), gr.Button("Cancel")
            with gr.Column(scale=3, min_width=320):
                self.progress = gr.HTML("", label="Progress")
                self.filled = gr.HTML("", label="Fillings")
        asked = [self.person, self.garment, self.region, self.count, self.vary, self.seed]
        fill.click(self._fill, asked, self._shown, **SHARED)
        self._stops(stop)

    @property
    def _outputs(self) -> list:
        return [self.filled]

    async def _fill(self, *values) -> AsyncIterator[dict]:
        person, garment, region, count, vary, seed = values
        files = {"person": person and Path(person), "garment": garment and Path(garment)}
        asked = {
            "region": region,
            "num_samples": int(count),
            "vary": "all" if garment else vary,
            "seed": int(seed or 0),
        }

        def put() -> Job:
            if person is None:
                raise UserError("Choose a picture of the person first.")
            return self.service.fill_in(asked, files)

        async for shown in self._begin(put):
            yield shown

    def _found(self, job: Job) -> dict:
        pictures = [(path, f"filling {number}") for number, path in enumerate(job.result["pictures"], start=1)]
        return {self.filled: widgets.figures(job, pictures)}
