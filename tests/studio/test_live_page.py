"""Driving, and live pictures over a WebSocket: what comes back, that the newest frame counts, and who may not in."""

import base64
import threading
import time

import decoded_here
import numpy as np
import pytest
from media_samples import clip
from painted_system import PaintedSystems
from tiny_first_order import Reader, write

from vton_jax.core.errors import UserError
from vton_jax.media import photo_files, video_files
from vton_jax.studio import live
from vton_jax.studio.options import StudioOptions
from vton_jax.studio.service import Service
from vton_jax.systems.first_order.system import FirstOrderDriver

pytest.importorskip("fastapi", reason="the extra studio is not installed")
pytest.importorskip("httpx2", reason="FastAPI's test client wants httpx2")
pytest.importorskip("multipart", reason="the extra studio is not installed")
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect


class Inverted:
    """Stands in for mirror and driver: the negative of a frame; a key is noted. Args: gate: is waited for."""

    def __init__(self, gate=None):
        self.gate, self.keys, self.seen, self.closed = gate, [], [], False

    def process(self, frame):
        self.seen.append(int(frame.mean()))
        if self.gate is not None:
            assert self.gate.wait(20)
        return 255 - frame

    def key(self, key):
        self.keys.append(key)

    def close(self):
        self.closed = True

    def note(self):
        return "".join(self.keys)


@pytest.fixture
def studio(tmp_path, monkeypatch):
    """Makes (service, client) with options, which decodes uploads in this process."""
    from vton_jax.studio import server

    made = []
    decoded_here.patch(monkeypatch)

    def make(**options):
        held = {"folder": str(tmp_path / f"studio{len(made)}"), "warm": False} | options
        made.append(Service(StudioOptions(**held), PaintedSystems()))
        return made[-1], TestClient(server.make_app(made[-1], with_page=False), base_url="http://localhost")

    yield make
    for service in made:
        service.close()


def session_of(service, lively):
    """A live job that `lively` serves."""
    job = service.jobs.new()
    job.session = live.Session()
    work = lambda job: live.run(job, job.session, lambda size: lively, service.options.live_seconds)  # noqa: E731
    return service.jobs.put(job, work)


def grey(value):
    return live.encoded(np.full((48, 64, 3), value, np.uint8))


def answer(socket):
    """The next picture, and the texts before it."""
    texts = []
    while (message := socket.receive()).get("bytes") is None:
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(message["code"])
        texts.append(message["text"])
    return live.decoded(message["bytes"]), "".join(texts)


def ended(job):
    end = time.monotonic() + 240
    while job.state in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.02)
    return job.state


def test_frames_come_back_and_keys_are_pressed(studio):
    service, client = studio()
    lively = Inverted()
    job = session_of(service, lively)
    with client.websocket_connect(
        f"ws://localhost/api/live/{job.id}", headers={"origin": "http://localhost"}
    ) as socket:
        socket.send_bytes(grey(200))
        picture, said = answer(socket)
        assert np.abs(picture.astype(int) - 55).max() < 4 and '"stage": "live"' in said
        for text in ('{"key": "m"}', '{"key": "format"}', "no json", '["key"]'):
            socket.send_text(text)
        time.sleep(0.2)
        socket.send_bytes(grey(100))
        picture, said = answer(socket)
        assert np.abs(picture.astype(int) - 155).max() < 4 and '"note": "m"' in said
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"ws://localhost/api/live/{job.id}"):
            pass  # somebody else, who knows the job: a session has one camera
    assert ended(job) == "cancelled" and lively.keys == ["m"] and lively.closed


def test_the_newest_frame_alone_is_kept(studio):
    service, _ = studio()
    lively = Inverted(threading.Event())
    job = session_of(service, lively)
    job.session.put(grey(10))
    while not lively.seen:
        time.sleep(0.01)
    for value in range(20, 200, 20):  # while the first is worked on
        job.session.put(grey(value))
    lively.gate.set()
    end = time.monotonic() + 20
    while len(lively.seen) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    service.jobs.cancel(job)
    assert ended(job) == "cancelled" and lively.seen == [10, 180]


def test_a_session_ends_with_its_time_or_a_frame_that_is_none(studio, monkeypatch):
    service, client = studio(live_seconds=1)
    monkeypatch.setattr(live, "PATIENCE", 1.5)
    job = session_of(service, Inverted())
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"ws://localhost/api/live/{job.id}") as socket:
        while True:
            socket.send_bytes(grey(10))
            answer(socket)
    assert ended(job) == "done" and job.result["frames"] > 0
    job = session_of(service, Inverted())
    job.session.put(b"GIF89a" + bytes(99))
    assert ended(job) == "failed" and "JPEG" in job.error
    job = session_of(service, Inverted())
    assert ended(job) == "failed" and job.error == "No picture came from the camera."


def test_frames_that_are_too_large_are_not_taken(studio):
    with pytest.raises(UserError, match="1300x40 pixels, not 32 to 1280"):
        live.decoded(live.encoded(np.zeros((40, 1300, 3), np.uint8)))
    service, client = studio()
    job = session_of(service, Inverted())
    with client.websocket_connect(f"ws://localhost/api/live/{job.id}") as socket:
        socket.send_bytes(bytes(live.MAX_BYTES + 1))
        with pytest.raises(WebSocketDisconnect) as told:
            answer(socket)
    assert told.value.code == 1009 and ended(job) == "cancelled"


def test_sockets_pass_the_guard_as_requests_do(studio):
    service, client = studio(password="open sesame")
    job = session_of(service, Inverted())
    code = {"authorization": "Basic " + base64.b64encode(b"me:open sesame").decode()}
    for headers in ({}, code | {"origin": "http://evil.example"}, code | {"host": "evil.example"},
                    {"authorization": "Basic " + base64.b64encode(b"me:open").decode()}):  # fmt: skip
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(f"ws://localhost/api/live/{job.id}", headers=headers),
        ):
            pass
    for name in ("nobody", "example"):
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(f"ws://localhost/api/live/{name}", headers=code),
        ):
            pass
    assert job.state in ("waiting", "running")  # none of them ended it
    with client.websocket_connect(
        f"ws://localhost/api/live/{job.id}", headers=code | {"origin": "http://localhost"}
    ) as socket:
        socket.send_bytes(grey(0))
        assert answer(socket)[0].min() > 250


@pytest.fixture
def moving(studio, tmp_path):
    """(service, client, files) with a tiny driver."""
    service, client = studio(max_driving_frames=5)
    driver = FirstOrderDriver(write(tmp_path), reader=Reader())
    service.systems.driver = lambda options: driver
    photo_files.write_image(
        tmp_path / "me.png", np.random.default_rng(0).integers(0, 255, (96, 64, 3)).astype(np.uint8)
    )
    video_files.write_video(tmp_path / "drives.mp4", clip(8), 10)
    return service, client, {"source": tmp_path / "me.png", "driving": tmp_path / "drives.mp4"}


def test_a_picture_is_driven_by_a_clip(moving, tmp_path):
    service, client, files = moving
    answer = client.post("/api/drive", files={name: path.read_bytes() for name, path in files.items()})
    assert answer.status_code == 202, answer.text
    job = service.jobs.get(answer.json()["id"])
    assert ended(job) == "done", job.error
    assert "driving the face" in job.notes[0] and job.stage == "driving" and job.done == job.total == 5
    (tmp_path / "got.mp4").write_bytes(client.get(f"/api/jobs/{job.id}/clip").content)
    assert video_files.read_frames(tmp_path / "got.mp4")[0].shape == (5, 96, 64, 3)
    wrong = client.post("/api/drive", files={"driving": files["source"].read_bytes()})
    assert wrong.json()["detail"] == "The file for the driving clip is not a clip (MP4, WebM, MOV)."


def test_a_picture_is_driven_live(moving):
    service, client, files = moving
    asked = client.post("/api/live/drive", files={"source": files["source"].read_bytes()}).json()
    with client.websocket_connect(f"ws://localhost/api/live/{asked['id']}") as socket:
        socket.send_bytes(grey(90))
        assert answer(socket)[0].shape == (96, 64, 3)
    assert ended(service.jobs.get(asked["id"])) == "cancelled"
