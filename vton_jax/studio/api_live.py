"""Driving over HTTP, and live pictures over a WebSocket.

A live session is asked for with POST, which answers with a job; `/api/live/ID` is then its WebSocket. What comes in:
binary messages are frames (JPEG), texts are keys, such as {"key": "m"}. What goes out: binary messages are results
(JPEG), texts say how the job stands: {"state", "place", "stage", "note", "error"}, whenever that changes. The next
frame is sent when the last was answered. Who closes the socket ends the session.
"""

import asyncio
import json
from typing import Annotated, Literal

import fastapi
import pydantic
from fastapi import Form, UploadFile, WebSocket, WebSocketDisconnect

from vton_jax.studio import live
from vton_jax.studio.api import JobSays, Saved, of
from vton_jax.studio.jobs import ENDED, Job, NoSuchJob
from vton_jax.studio.service import Service

_LOOK = 0.3  # seconds between looks at a job that has no answer
_POLICY, _TOO_BIG, _NORMAL = 1008, 1009, 1000  # why a socket is closed
_LIVE = "A job whose frames come and go at the WebSocket /api/live/ID: JPEG files, the next when the last was answered."


class DriveForm(pydantic.BaseModel):
    """What is asked when a picture is brought to life."""

    model_config = {"extra": "forbid"}
    source: UploadFile | None = None
    motion: Literal["relative", "absolute"] = "relative"
    region: Literal["auto", "face", "body"] = "auto"
    side_by_side: bool = pydantic.Field(False, description="The driving frames beside the result.")


class DriveClipForm(DriveForm):
    """The same with a clip that drives."""

    driving: UploadFile


class MirrorForm(pydantic.BaseModel):
    """What is asked of a mirror."""

    model_config = {"extra": "forbid"}
    garment: list[UploadFile] = pydantic.Field([], description="Alternatives, which the keys 1 to 9 choose.")
    garment_type: Literal["auto", "upper", "lower", "dress", "outfit"] = "auto"
    garment_is: Literal["auto", "flat", "person"] = "auto"
    flip: bool = pydantic.Field(False, description="Begin mirrored, as a mirror on the wall shows.")


def add_to(app: fastapi.FastAPI, service: Service) -> None:
    """Adds the routes."""

    @app.post("/api/drive", status_code=202, summary="Brings a picture to life")
    def drive(asked: Annotated[DriveClipForm, Form()]) -> JobSays:
        """A face or a body in the picture `source` moves as the one in the clip `driving` does. Use pictures of people
        who have agreed to it; the clip is tagged as generated."""
        options = asked.model_dump(include={"motion", "region", "side_by_side"})
        with Saved(service, source=asked.source, driving_clip=asked.driving) as files:
            return of(service, service.drive(options, files))

    @app.post("/api/live/drive", status_code=202, summary="Brings a picture to life with a camera", description=_LIVE)
    def live_drive(asked: Annotated[DriveForm, Form()]) -> JobSays:
        options = asked.model_dump(include={"motion", "region", "side_by_side"})
        with Saved(service, source=asked.source) as files:
            return of(service, service.live("drive", options, files))

    @app.post("/api/live/mirror", status_code=202, summary="Dresses whoever is before a camera", description=_LIVE)
    def live_mirror(asked: Annotated[MirrorForm, Form()]) -> JobSays:
        options = asked.model_dump(include={"garment_type", "garment_is", "flip"})
        with Saved(service, garment=asked.garment) as files:
            return of(service, service.live("mirror", options, files))

    @app.websocket("/api/live/{name}")
    async def frames(socket: WebSocket, name: str):
        try:
            job = service.jobs.get(name)
        except NoSuchJob:
            return await socket.close(_POLICY)
        if job.session is None or not job.session.begin():
            return await socket.close(_POLICY)
        try:
            await socket.accept()
            await _serve(socket, job, service)
        finally:
            service.jobs.cancel(job)


async def _serve(socket: WebSocket, job: Job, service: Service) -> None:
    """Carries frames until one side ends."""
    there, loop = asyncio.Event(), asyncio.get_running_loop()
    job.session.when_answered = lambda: loop.call_soon_threadsafe(there.set)
    tasks = [
        asyncio.create_task(_receive(socket, job.session)),
        asyncio.create_task(_send(socket, job, service, there)),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        job.session.when_answered = lambda: None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _receive(socket: WebSocket, session: live.Session) -> None:
    """Takes what comes, until the socket is closed or brings too much."""
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        data = message.get("bytes") or b""
        text = message.get("text") or ""
        if len(data) > live.MAX_BYTES or len(text) > 100:
            await socket.close(_TOO_BIG)
            return
        if data:
            session.put(data)
        elif text:
            session.press(_key(text))


def _key(text: str) -> str:
    try:
        held = json.loads(text)
        return str(held["key"]) if isinstance(held, dict) else ""
    except (ValueError, KeyError):
        return ""


async def _send(socket: WebSocket, job: Job, service: Service, there: asyncio.Event) -> None:
    """Sends answers, and how the job stands, until it has ended."""
    said, note = "", ""
    while True:
        ended = job.state in ENDED  # asked first: what is said after is the last
        answer = job.session.fetch()
        note = note if answer is None else answer[1]
        stands = {"state": job.state, "place": service.jobs.place(job), "stage": job.stage, "note": note}
        text = json.dumps(stands | {"error": job.error})
        try:
            if text != said:
                await socket.send_text(text)
            if answer is not None:
                await socket.send_bytes(answer[0])
            if ended:
                return await socket.close(_NORMAL)
        except (WebSocketDisconnect, RuntimeError):  # it has gone
            return None
        said = text
        try:
            await asyncio.wait_for(there.wait(), _LOOK)
        except TimeoutError:
            continue
        there.clear()
