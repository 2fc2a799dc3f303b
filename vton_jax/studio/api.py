"""The studio over HTTP: jobs are put in, asked about, fetched and cancelled. `/api/docs` explains it."""

import dataclasses
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import fastapi
import pydantic
from fastapi import Form, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from vton_jax.core.errors import UserError
from vton_jax.studio import api_page, try_on
from vton_jax.studio.jobs import Job, NoSuchJob, QueueFull
from vton_jax.studio.service import Service
from vton_jax.systems.options import JobOptions

FILES = {"clip": "video/mp4", "sheet": "image/png", "save": "application/zip"}  # of a result, with their types


class JobSays(pydantic.BaseModel):
    """How a job stands."""

    id: str = pydantic.Field(description="Cannot be guessed: whoever knows it may see and cancel the job.")
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    place: int = pydantic.Field(description="How many jobs come first.")
    stage: str = pydantic.Field(description="What is being done.")
    done: int = pydantic.Field(description="How much of the stage is done,")
    total: int = pydantic.Field(description="of how much.")
    notes: list[str] = pydantic.Field(description="What was read, in sentences.")
    error: str = pydantic.Field(description="One sentence where the job failed.")
    files: dict[str, str] = pydantic.Field(description="What can be fetched, by name: paths on this server.")


def _said(name: str) -> str:
    return {field.name: field.metadata["help"] for field in dataclasses.fields(JobOptions)}[name]


def _choice(name: str):
    """A field for an option of `JobOptions`, explained as on the command line."""
    return pydantic.Field(None, description=_said(name), json_schema_extra={"enum": list(try_on.choices(name))})


class TryOnForm(pydantic.BaseModel):
    """What is asked of a try-on; what is not given is as on the command line."""

    model_config = {"extra": "forbid"}
    person: UploadFile | None = None
    garment: list[UploadFile] = pydantic.Field([], description="Given twice: an upper and a lower one, worn together.")
    pose: UploadFile | None = None
    own_clothes: bool = pydantic.Field(False, description="No garment: the person's own clothes.")
    system: str | None = _choice("system")
    remap: str | None = _choice("remap")
    layout: str | None = _choice("layout")
    garment_type: str | None = _choice("garment_type")
    garment_is: str | None = _choice("garment_is")
    tuck: str | None = _choice("tuck")
    person_box: str = pydantic.Field("", description=_said("person_box"))
    garment_box: list[str] = pydantic.Field([], description=_said("garment_box"))
    temporal_filter: str | None = _choice("temporal_filter")
    background: str | None = _choice("background")
    framing: str | None = _choice("framing")
    output_size: str | None = _choice("output_size")


class InpaintForm(pydantic.BaseModel):
    """What is asked of filling in."""

    model_config = {"extra": "forbid"}
    person: UploadFile | None = None
    garment: UploadFile | None = None
    region: Literal["top", "bottom", "hat", "shoes"] = "top"
    num_samples: int = pydantic.Field(5, ge=1, le=16)
    vary: Literal["all", "both", "shape", "appearance"] = "both"
    seed: int = pydantic.Field(0, ge=0)


def of(service: Service, job: Job) -> JobSays:
    """What the API says of a job."""
    files = {name: f"/api/jobs/{job.id}/{name}" for name in FILES if name in job.result and job.state == "done"}
    return JobSays(
        id=job.id, state=job.state, place=service.jobs.place(job), stage=job.stage, done=job.done, total=job.total,
        notes=list(job.notes), error=job.error, files=files,
    )  # fmt: skip


def add_to(app: fastapi.FastAPI, service: Service) -> None:
    """Adds the routes, and how errors are answered: {"detail": sentence}."""

    @app.exception_handler(UserError)
    def refused(_, error: UserError):
        status = {NoSuchJob: 404, QueueFull: 503}.get(type(error), 422)
        return JSONResponse({"detail": str(error)}, status)

    _add_work(app, service)
    _add_jobs(app, service)

    @app.get("/api/docs", response_class=HTMLResponse, include_in_schema=False)
    def docs():
        return api_page.html_of(app.openapi())


def _add_work(app: fastapi.FastAPI, service: Service) -> None:
    @app.post("/api/try_on", status_code=202, summary="Dresses a person")
    def dress(asked: Annotated[TryOnForm, Form()]) -> JobSays:
        """Person and garment are pictures, the pose a picture or a clip; what is missing is the packaged example's,
        but the pose beside a person, which is then their own. `GET /api/options` lists what options may be."""
        options = {name: getattr(asked, name) for name in (*try_on.CHOSEN, *try_on.BOXES)}
        with Saved(service, person=asked.person, garment=asked.garment, pose=asked.pose) as files:
            if asked.own_clothes:
                files["garment"] = Path("none")
            return of(service, service.dress(options, files))

    @app.post("/api/inpaint", status_code=202, summary="Fills in a garment of a person in several ways")
    def inpaint(asked: Annotated[InpaintForm, Form()]) -> JobSays:
        """The result's `sheet` shows the fillings side by side. With a garment, that one is put on."""
        options = {name: getattr(asked, name) for name in ("region", "num_samples", "vary", "seed")}
        options |= {"vary": "all"} if asked.garment is not None else {}
        with Saved(service, person=asked.person, garment=asked.garment) as files:
            return of(service, service.fill_in(options, files))

    @app.get("/api/options", summary="What options may be")
    def options() -> dict[str, list[str]]:
        return {name: list(try_on.choices(name)) for name in try_on.CHOSEN}


def _add_jobs(app: fastapi.FastAPI, service: Service) -> None:
    @app.get("/api/jobs/{name}", summary="How a job stands")
    def status(name: str) -> JobSays:
        return of(service, service.jobs.get(name))

    @app.delete("/api/jobs/{name}", summary="Cancels a job")
    def cancel(name: str) -> JobSays:
        job = service.jobs.get(name)
        service.jobs.cancel(job)
        return of(service, job)

    @app.get("/api/jobs/{name}/{file}", summary="A file of a result: clip, sheet, save", response_class=FileResponse)
    def fetch(name: str, file: Literal["clip", "sheet", "save"]):
        job = service.jobs.get(name)
        if job.state != "done" or file not in job.result:
            return JSONResponse({"detail": f"The job has no {file}; it is {job.state}."}, 404)
        path = Path(job.result[file])
        return FileResponse(path, media_type=FILES[file], filename=path.name)

    @app.get("/api/jobs/{name}/pictures/{file}", include_in_schema=False, response_class=FileResponse)
    def picture(name: str, file: str):
        known = {Path(path).name: path for path in _pictures_of(service.jobs.get(name).result)}
        if file not in known:  # what else lies in the folder is nobody's business
            return JSONResponse({"detail": "There is no such picture."}, 404)
        return FileResponse(known[file], media_type="image/png")


def _pictures_of(value) -> list[str]:
    """All paths of pictures in a result."""
    if isinstance(value, str):
        return [value] if value.endswith(".png") else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [path for item in inner for path in _pictures_of(item)]


class Saved:
    """Uploads as files, removed when they have been decoded: a context manager that gives paths by name."""

    def __init__(self, service: Service, **uploads: UploadFile | list[UploadFile] | None):
        self._service, self._uploads = service, uploads

    def __enter__(self) -> dict[str, list[Path] | Path]:
        self._folder = Path(tempfile.mkdtemp(dir=self._service.uploaded))
        files: dict[str, list[Path] | Path] = {}
        for name, given in self._uploads.items():
            files[name] = []
            for number, upload in enumerate(given if isinstance(given, list) else filter(None, [given])):
                files[name].append(self._folder / f"{name}{number}")
                with open(files[name][-1], "wb") as file:
                    shutil.copyfileobj(upload.file, file)
        return files

    def __exit__(self, *_):
        shutil.rmtree(self._folder, ignore_errors=True)
