"""Serves a study: one page, its trials one by one, and answers that are written once.

Nothing that is served gives the answer away: pictures have addresses of the session and the trial, one length (PNG
without compression, so that there is nothing behind its end either), the same headers, and come from memory; trials do
not say their kind, but for practice.
"""

import importlib.resources
import io
import json
import secrets
from typing import Annotated, Any

import fastapi
import numpy as np
import pydantic
from fastapi.responses import JSONResponse, Response
from PIL import Image

from vton_jax.study.create import design_of, encoded
from vton_jax.study.design import ANSWERS, trials_of
from vton_jax.study.store import ANSWER, Store

_AHEAD = 1  # trials whose pictures may be loaded before they are due
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_FILES = {"": ("page.html", "text/html"), "study.js": ("study.js", "text/javascript")}
_PRIVATE = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


class Begin(pydantic.BaseModel):
    consent: bool
    external: str | None = pydantic.Field(None, max_length=200)  # PROLIFIC_PID or workerId
    participant: str | None = pydantic.Field(None, max_length=20)  # the code of a session that goes on
    about: dict[str, str | int | float | None] = pydantic.Field(default_factory=dict, max_length=20)


class Answer(pydantic.BaseModel):
    client: str = pydantic.Field(min_length=8, max_length=64)
    trial: int = pydantic.Field(ge=0)
    response: str = pydantic.Field(max_length=20)
    rt: float | None = None
    shown_ms: float | None = None
    frames: int | None = None
    refresh_ms: float | None = None
    onset_ms: float | None = None
    offset_ms: float | None = None
    focus_lost: int | None = None
    elapsed_ms: float | None = None


class Event(pydantic.BaseModel):
    client: str = pydantic.Field(min_length=8, max_length=64)
    trial: int | None = None
    kind: str = pydantic.Field(max_length=40)
    detail: str = pydantic.Field("", max_length=500)
    elapsed_ms: float | None = None


class _Study:
    """A store with its design, and its pictures, all of one length."""

    def __init__(self, store: Store):
        self.store, self.design = store, design_of(store)
        self.pictures = {row["id"]: _uncompressed(store.png(row["id"])) for row in store.pictures()}

    def begin(self, asked: Begin):
        """A new session, or the one that a participant's code names. Raises: HTTPException where it names none."""
        if asked.participant is not None:
            found = self.store.participant(asked.participant)
            if found is None:
                raise fastapi.HTTPException(404, f"There is no participant {asked.participant}.")
            return found
        participant = "".join(secrets.choice(_LETTERS) for _ in range(8))
        return self.store.begin(
            secrets.token_urlsafe(24), participant, asked.external, asked.about,
            trials_of=lambda row, number: trials_of(self.design, row, number), rows=self.design.rows,
        )  # fmt: skip

    def session(self, token: str):
        found = self.store.session(token)
        if found is None:
            raise fastapi.HTTPException(404, "There is no such session.")
        return found

    def state(self, session) -> dict[str, Any]:
        """What the page may know of a session."""
        trials, done = self.trials(session), self.store.answered(session["id"])
        held = {"token": session["token"], "participant": session["participant"], "done": done, "total": len(trials)}
        return held | {"code": self.store.settings["code"] if done >= len(trials) else None}

    def trials(self, session) -> list[dict]:
        return json.loads(session["trials"])

    def trial(self, session, index: int) -> dict:
        """A trial that is due, or nearly. Raises: HTTPException."""
        trials = self.trials(session)
        if not 0 <= index < len(trials) or index > self.store.answered(session["id"]) + _AHEAD:
            raise fastapi.HTTPException(404, "This trial is not due.")
        return trials[index]


def _uncompressed(png: bytes) -> bytes:
    """The picture as PNG of a length, and with chunks, that its size alone decides: how well a picture compresses tells
    how smooth it is, which generated ones may be."""
    return encoded(np.asarray(Image.open(io.BytesIO(png)).convert("RGB")), compression=0)


def make_app(store: Store) -> fastapi.FastAPI:
    """The ASGI application of a study."""
    study = _Study(store)
    app = fastapi.FastAPI(title=store.settings["title"], docs_url=None, redoc_url=None, openapi_url=None)
    _add_pages(app, study)
    _add_session(app, study)
    return app


def _add_pages(app: fastapi.FastAPI, study: _Study) -> None:
    pages = importlib.resources.files("vton_jax.study") / "pages"

    @app.get("/{name}")
    def page(name: str):
        if name not in _FILES:
            raise fastapi.HTTPException(404, "There is nothing here.")
        file, kind = _FILES[name]
        return Response((pages / file).read_bytes(), media_type=kind, headers=_PRIVATE)

    @app.get("/")
    def index():
        return page("")

    @app.get("/api/study")
    def about():
        settings = study.store.settings
        names = ("title", "consent", "asks", "question", "size")
        shown = {name: settings[name] for name in names} | {"answers": ANSWERS[settings["question"]]}
        return JSONResponse(shown, headers=_PRIVATE)


def _add_session(app: fastapi.FastAPI, study: _Study) -> None:
    Token = Annotated[str, fastapi.Path(max_length=64)]

    @app.post("/api/sessions")
    def begin(asked: Begin):
        if not asked.consent:
            raise fastapi.HTTPException(422, "A participant has to agree first.")
        return study.state(study.begin(asked))

    @app.get("/api/sessions/{token}")
    def resume(token: Token, external: Annotated[str | None, fastapi.Query(max_length=200)] = None):
        session = study.session(token)
        if external is not None and session["external"] != external:
            raise fastapi.HTTPException(404, "Somebody else's session.")
        return study.state(session)

    @app.get("/api/sessions/{token}/trials/{index}")
    def trial(token: Token, index: int):
        found = study.trial(study.session(token), index)
        sides = range(len(found["pictures"]))
        return JSONResponse(
            {
                "trial": index, "asked_ms": 1000 * found["exposure"], "practice": found["kind"] == "practice",
                "pictures": [f"/api/sessions/{token}/trials/{index}/{side}.png" for side in sides],
            },
            headers=_PRIVATE,
        )  # fmt: skip

    @app.get("/api/sessions/{token}/trials/{index}/{side}.png")
    def picture(token: Token, index: int, side: int):
        pictures = study.trial(study.session(token), index)["pictures"]
        if not 0 <= side < len(pictures):
            raise fastapi.HTTPException(404, "There is no such picture.")
        return Response(study.pictures[pictures[side]], media_type="image/png", headers=_PRIVATE)

    @app.post("/api/sessions/{token}/answers")
    def answer(token: Token, given: Answer):
        session = study.session(token)
        trials, done = study.trials(session), study.store.answered(session["id"])
        if given.trial > done or given.trial >= len(trials):
            raise fastapi.HTTPException(409, f"Trial {done} is due.")
        if given.response not in ANSWERS[study.store.settings["question"]]:
            raise fastapi.HTTPException(422, "This is no answer.")
        values = {name: getattr(given, name) for name in ANSWER}
        last = given.trial == len(trials) - 1
        study.store.answer(session["id"], given.trial, given.client, values, last)
        found = trials[given.trial]
        feedback = found["truth"] if found["kind"] == "practice" else None
        return study.state(session) | {"feedback": feedback}

    @app.post("/api/sessions/{token}/events")
    def event(token: Token, seen: Event):
        session = study.session(token)
        what = {"kind": seen.kind, "detail": seen.detail, "elapsed_ms": seen.elapsed_ms}
        study.store.event(session["id"], seen.client, seen.trial, **what)
        return {"written": True}
