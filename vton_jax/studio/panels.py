"""The try-on panel: inputs on the left; on the right what was read, the clip, and what the machine did."""

import asyncio
import filecmp
import html
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import gradio as gr

from vton_jax.core.errors import UserError
from vton_jax.studio import gallery, try_on, widgets
from vton_jax.studio.job_panel import SHARED
from vton_jax.studio.jobs import ENDED, Job
from vton_jax.studio.service import EXAMPLE, Service
from vton_jax.studio.shown import GARMENTS

_POSES = ("a clip", "a photo", "the person's own")
_ARMS = {"post": "post: after the painter", "pre": "pre: before it", "joint": "joint: trained together", "none": "none"}

_OF_LAYOUT = (
    "After the coarse map a network refines the layout, or, where *Settings* say so, the backward procedure searches "
    "it: then the error over its iterations is shown as well."
)


class TryOnPanel:
    """Builds itself within `gr.Blocks`. Args: system: a name in SYSTEMS. job: about the last job, which the
    browser keeps. stills: pictures of poses to choose from.
    """

    def __init__(self, service: Service, system: str, job: gr.BrowserState, stills: list[Path]):
        self.service, self.system, self.job, self.stills = service, system, job, stills
        self.several = system == "lab126"  # the other puts on one garment
        self.first = EXAMPLE if system == "lab126" else ""  # the job that is shown before there is another
        self._inputs()
        self._outputs()
        self._wire()

    # ------------------------------------------------------------------------------------------------------ components

    def _inputs(self) -> None:
        with gr.Row():
            with gr.Column(min_width=260):
                self.person = widgets.picture("Person", gallery.PERSON)
                widgets.examples("Example people", gallery.people(), self.person)
            with gr.Column(min_width=260):
                self.garment = widgets.picture("Garment, flat or worn", gallery.GARMENT)
                self.own = gr.Checkbox(False, label="No garment: the person's own clothes")
                widgets.examples("Example garments", gallery.garments(), self.garment)
                with gr.Accordion("And a second garment", open=False, visible=self.several) as self.second_part:
                    self.second = widgets.picture("An upper and a lower one are worn together")
                    widgets.examples("Example lower garments", gallery.lower_garments(), self.second)
            with gr.Column(min_width=260):
                sources = ["upload", "webcam"]
                with gr.Column() as self.clip_part:
                    clip = gr.Video(str(gallery.POSE), label="Pose clip", sources=sources, elem_classes="studio-clip")
                    self.clip_pose = widgets.undecoded(clip)
                    widgets.examples("Example clip", [gallery.POSE], clip)
                with gr.Column(visible=False) as self.photo_part:
                    self.photo_pose = widgets.picture("Pose photo", self.stills[0])
                    widgets.examples("Example poses", self.stills, self.photo_pose)
                self.pose_is = gr.Radio(_POSES, value=_POSES[0], label="Pose")
        with gr.Accordion("Settings", open=False), gr.Row():
            arms = [(text, name) for name, text in _ARMS.items()]
            self.arm = gr.Dropdown(
                arms,
                value="post",
                label="Arm: when the garment is moved",
                visible=self.system == "lab126",
                min_width=240,
            )
            layouts = [("refined by a network", "refined"), ("backward procedure", "backward")]
            self.layout = gr.Dropdown(
                layouts, value="refined", label="Layout that is painted into", visible=self.system == "lab126",
                min_width=240,
            )  # fmt: skip
            filters, sizes = try_on.choices("temporal_filter"), try_on.SIZES.items()
            self.filter = gr.Dropdown(list(filters), value="motion", label="Smoothing over time", min_width=160)
            self.size = gr.Dropdown(
                [(text, value or "256x192") for text, value in sizes], value="256x192", label="Size, height x width",
                min_width=160,
            )  # fmt: skip
            tucks = [("as its picture shows it", "auto"), ("tucked in", "in"), ("hangs over", "over")]
            self.tuck = gr.Dropdown(tucks, value="auto", label="An upper garment", visible=self.several, min_width=240)
            backgrounds = [("the photo's", "inpaint"), ("painted by the networks", "network")]
            self.background = gr.Dropdown(backgrounds, value="inpaint", label="Background", min_width=200)
        with gr.Row():
            self.look = gr.Button("Look first", min_width=120)
            self.dress = gr.Button("Dress", variant="primary", min_width=120)
            self.stop = gr.Button("Cancel", min_width=120)

    def _outputs(self) -> None:
        self.progress = gr.HTML("", label="Progress")
        with gr.Tabs() as self.tabs:
            with gr.Tab("Result", id="result", render_children=True):
                with gr.Row():
                    large = {"interactive": False, "height": 460, "min_width": 300}
                    self.clip = gr.Video(label="The clip", autoplay=True, loop=True, **large)
                    self.slider = gr.ImageSlider(label="Before and after: drag the line", **large)
                self.save = gr.DownloadButton("Save the clip with its settings", interactive=False)
            with gr.Tab("What was read", id="read", render_children=True):
                self.read = gr.HTML("", label="What was read")
                self._corrections()
            with gr.Tab("What the machine did", id="machine", render_children=True):
                of_lab126 = self.system == "lab126"
                self.frame = gr.Radio([], label="Frame of the clip")
                gr.Markdown(_OF_LAYOUT, visible=of_lab126)
                self.machine = gr.HTML("", label="Step by step")
                self.watch = gr.Button("Film the backward procedure on this frame", visible=of_lab126)
                self.film = gr.Video(
                    label="The backward procedure: aim, what is found, error", interactive=False, loop=True,
                    visible=of_lab126,
                )  # fmt: skip

    def _corrections(self) -> None:
        gr.Markdown(
            "**Is something wrong?** Say what it is, paint and erase the garment's mask, or draw a box around whom or "
            "what is meant, since nothing outside it is read; then read again."
        )
        with gr.Row():
            types = list(try_on.choices("garment_type"))
            self.kind = gr.Dropdown(types, value="auto", label="Type of the garment", min_width=160)
            ways = [("as it looks", "auto"), ("flat", "flat"), ("worn by a person", "person")]
            self.shown_as = gr.Dropdown(ways, value="auto", label="It is shown", min_width=160)
        self.editor = gr.HTML("", label="The pictures, to be corrected")
        self.corrections = gr.Textbox(visible=False)
        self.again = gr.Button("Read again with these corrections")

    @property
    def _shown(self) -> list:
        return [
            self.job, self.progress, self.read, self.editor, self.clip, self.slider, self.save, self.frame,
            self.machine, self.film, self.tabs,
        ]  # fmt: skip

    def _wire(self) -> None:
        asked = [
            self.job, self.person, self.garment, self.second, self.own, self.pose_is, self.clip_pose, self.photo_pose,
            self.arm, self.layout, self.filter, self.size, self.background, self.kind, self.shown_as, self.tuck,
            self.corrections,
        ]  # fmt: skip
        corrected = f"(...values) => [...values.slice(0, -1), studioCorrections('{self.system}')]"
        for button, asks in ((self.look, self._look), (self.again, self._look), (self.dress, self._dress)):
            button.click(asks, asked, self._shown, js=corrected, **SHARED)
        self.stop.click(self._cancel, [self.job], [self.progress], queue=False, **SHARED)
        self.watch.click(self._watch, [self.job, self.frame], self._shown, **SHARED)
        self.frame.input(self._machine, [self.job, self.frame], [self.machine], **SHARED)
        self.pose_is.change(
            lambda chosen: [gr.update(visible=chosen == _POSES[0]), gr.update(visible=chosen == _POSES[1])],
            [self.pose_is], [self.clip_part, self.photo_part], **SHARED,
        )  # fmt: skip
        self.own.change(
            lambda own: [gr.update(visible=not own), gr.update(visible=not own and self.several)],
            [self.own], [self.garment, self.second_part], **SHARED,
        )  # fmt: skip

    def when_shown(self, opened: Callable) -> None:
        """What the panel shows when the page, or its tab, is opened. Args: opened: listens to that."""
        opened(
            self._resume, [self.job], self._shown, **SHARED,
        )  # fmt: skip

    # -------------------------------------------------------------------------------------------------------- handlers

    def _files(self, *values) -> dict[str, str]:
        """The files that were chosen, by name."""
        person, garment, second, own, pose_is, clip_pose, photo_pose = values
        pose = {_POSES[0]: clip_pose, _POSES[1]: photo_pose}.get(pose_is, person)
        found = {"person": person, "garment": "none" if own else garment, "pose": pose}
        missing = [name for name, path in found.items() if path is None]
        if missing:
            raise UserError(f"Choose a picture for the {' and the '.join(missing)} first.")
        return found | ({"second_garment": second} if second and self.several and not own else {})

    def _asked(self, *values) -> dict[str, Any]:
        arm, layout, smoothed, size, background, kind, shown_as, tuck = values
        return {
            "system": self.system, "remap": arm or "auto", "layout": layout, "temporal_filter": smoothed,
            "output_size": size, "background": background, "garment_type": kind, "garment_is": shown_as, "tuck": tuck,
        }  # fmt: skip

    async def _look(self, held, *values) -> AsyncIterator[dict]:
        async for shown in self._begin(held, values, "read"):
            yield shown

    async def _dress(self, held, *values) -> AsyncIterator[dict]:
        async for shown in self._begin(held, values, "result"):
            yield shown

    async def _begin(self, held, values, tab: str) -> AsyncIterator[dict]:
        """Puts a job in and follows it. Args: tab: `read` or `result`, where what is wanted will be shown."""
        try:
            inputs = self._files(*values[:7])
            corrections = widgets.Corrections.of(values[-1]).only(self._unchanged(held, inputs))
            boxes = [corrections.boxes.get(name, "") for name in GARMENTS if name in inputs]
            asked = self._asked(*values[7:-1]) | {
                "person_box": corrections.boxes.get("person", ""), "garment_box": boxes,
            }  # fmt: skip
            files = {name: Path(path) for name, path in inputs.items() if name not in GARMENTS}
            files["garment"] = [Path(inputs[name]) for name in GARMENTS if name in inputs]
            with widgets.mask_files(corrections.masks, self.service.uploaded) as masks:
                if tab == "read":
                    job = await asyncio.to_thread(self.service.read, asked, files, masks)
                else:
                    seen = self._job(held) if held.get("inputs") == inputs else None
                    job = await asyncio.to_thread(self.service.dress, asked, files, seen, masks)
        except UserError as error:
            yield {self.progress: widgets.error(str(error))}
            return
        now = {"job": job.id, "inputs": inputs, "shown": held.get("shown", self.first)}
        # The clip before would go on playing, and take a core from what makes the next.
        stopped = {self.clip: None} if tab == "result" else {}
        yield {self.job: now, self.tabs: gr.update(selected=tab)} | stopped
        async for shown in self._follow(job):
            yield shown
        if stopped and job.state == "done":
            yield {self.job: now | {"shown": job.id}}
        elif stopped and (before := self._job(now, "shown")) is not None:
            yield {self.clip: before.result.get("clip")}

    def _unchanged(self, held: dict[str, Any], inputs: dict[str, str]) -> set[str]:
        """The inputs that what is shown was read from: corrections are of these."""
        if held.get("job") == EXAMPLE:
            packaged = {"person": gallery.PERSON, "garment": gallery.GARMENT}
            same = lambda name, path: name in packaged and filecmp.cmp(path, packaged[name], shallow=False)  # noqa: E731
        else:
            same = lambda name, path: held.get("inputs", {}).get(name) == path  # noqa: E731
        return {name for name, path in inputs.items() if path != "none" and same(name, path)}

    async def _follow(self, job: Job) -> AsyncIterator[dict]:
        """What changes on the page while a job waits and runs, and its result."""
        said, read = "", False
        while True:
            ended = job.state in ENDED  # asked first: what is shown after is the last
            words = widgets.progress(job, self.service.jobs.place(job))
            shown = {self.progress: words} if words != said else {}
            said = words
            if not read and "reading" in job.result:
                read = True
                shown |= self._read_shown(job)
            if ended:
                yield shown | (self._result_shown(job) if job.state == "done" else {})
                return
            if shown:
                yield shown
            await asyncio.sleep(widgets.PAUSE)

    def _job(self, held: dict[str, Any], name: str = "job") -> Job | None:
        try:
            return self.service.jobs.get(held.get(name, ""))
        except UserError:
            return None

    async def _resume(self, held) -> AsyncIterator[dict]:
        job = self._job(held)
        if job is None:
            held = {"job": self.first}
            yield {self.progress: ""}
            if (first := self._job(held)) is not None:
                yield {self.job: held} | self._read_shown(first) | self._result_shown(first)
            return
        async for shown in self._follow(job):
            yield shown
        if "clip" in job.result:
            yield {self.job: held | {"shown": job.id}}
        elif (before := self._job(held, "shown")) is not None:  # nothing was made since
            yield self._result_shown(before)
        if (film := self._job(held, "film")) is not None:
            async for shown in self._follow(film):
                yield shown

    async def _cancel(self, held):
        for job in filter(None, (self._job(held, "film"), self._job(held))):
            if job.state not in ENDED:
                self.service.jobs.cancel(job)
                return widgets.progress(job, 0)
        return gr.update()

    async def _watch(self, held, frame) -> AsyncIterator[dict]:
        job = self._job(held)
        try:
            if job is None:
                raise UserError("Dress somebody first.")
            film = self.service.watch_search(job, int(frame or 0))
        except UserError as error:
            yield {self.progress: widgets.error(str(error))}
            return
        yield {self.job: held | {"film": film.id}}
        async for shown in self._follow(film):
            yield shown

    def _machine(self, held, frame):
        job = self._job({"shown": self.first} | held, "shown")
        for one in job.result.get("machine", ()) if job is not None else ():
            if one["frame"] == int(frame):
                return widgets.figures(job, one["pictures"])
        return ""

    # ------------------------------------------------------------------------------------------------- what is shown

    def _read_shown(self, job: Job) -> dict:
        reading, titles = (
            job.result["reading"],
            {
                "person": "the person", "garment": "the garment", "second_garment": "the second garment",
                "pose": "the first pose",
            },
        )  # fmt: skip
        pictures = [(reading[name], title) for name, title in titles.items() if name in reading]
        lines = "".join(f"<li>{html.escape(note)}</li>" for note in job.notes)
        read = f"<ul>{lines}</ul>{widgets.figures(job, pictures)}"
        return {self.read: read, self.editor: widgets.editors(self.system, job)}

    def _result_shown(self, job: Job) -> dict:
        result, shown = job.result, {}
        if "clip" in result:
            frames = result["machine"]
            middle = frames[len(frames) // 2]
            shown |= {
                self.clip: result["clip"], self.slider: (result["before"], result["after"]),
                self.save: gr.update(value=result["save"], interactive=True) if "save" in result else gr.update(),
                self.frame: gr.update(choices=[one["frame"] for one in frames], value=middle["frame"]),
                self.machine: widgets.figures(job, middle["pictures"]), self.film: None,
            }  # fmt: skip
        if "film" in result:
            shown[self.film] = result["film"]
        return shown
