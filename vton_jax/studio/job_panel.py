"""A panel whose jobs each show one thing: the last one is followed, cancelled, and found again after a refresh."""

import abc
import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import gradio as gr

from vton_jax.core.errors import UserError
from vton_jax.studio import widgets
from vton_jax.studio.jobs import ENDED, Job
from vton_jax.studio.service import Service

SHARED = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}


class JobPanel(abc.ABC):
    """Builds itself within `gr.Blocks`; who inherits it has `progress`, `_outputs` and `_found`.

    Args: job: the id of the last one, which the browser keeps.
    """

    progress: gr.HTML

    def __init__(self, service: Service, job: gr.BrowserState):
        self.service, self.job = service, job

    @property
    @abc.abstractmethod
    def _outputs(self) -> list[gr.components.Component]:
        """What `_found` gives values for."""

    @abc.abstractmethod
    def _found(self, job: Job) -> dict:
        """What a job that is done shows, by component."""

    @property
    def _shown(self) -> list[gr.components.Component]:
        return [self.job, self.progress, *self._outputs]

    def _stops(self, button: gr.Button) -> None:
        button.click(self._cancel, [self.job], None, queue=False, **SHARED)

    def when_loaded(self, page: gr.Blocks) -> None:
        """What the panel shows when the page is opened, or opened again."""
        page.load(self._resume, [self.job], self._shown, **SHARED)

    async def _begin(self, put: Callable[[], Job]) -> AsyncIterator[dict]:
        """Follows a job that `put` puts in, or says why it cannot be."""
        try:
            job = await asyncio.to_thread(put)
        except UserError as error:
            yield {self.progress: widgets.error(str(error))}
            return
        yield {self.job: job.id}
        async for shown in self._follow(job):
            yield shown

    async def _follow(self, job: Job) -> AsyncIterator[dict]:
        while job.state not in ENDED:
            yield {self.progress: widgets.progress(job, self.service.jobs.place(job))}
            await asyncio.sleep(widgets.PAUSE)
        yield {self.progress: widgets.progress(job, 0)} | (self._found(job) if job.state == "done" else {})

    async def _resume(self, name: str) -> AsyncIterator[dict]:
        yield {self.progress: ""}
        with contextlib.suppress(UserError):  # it is gone
            async for shown in self._follow(self.service.jobs.get(name)):
                yield shown

    def _cancel(self, name: str) -> None:
        with contextlib.suppress(UserError):
            self.service.jobs.cancel(self.service.jobs.get(name))
