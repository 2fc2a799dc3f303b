"""The API with a system that stands in for networks: jobs from uploads to a clip, and what may not pass."""

import base64
import json
import secrets
import threading
import time
import zipfile
from pathlib import Path

import decoded_here
import numpy as np
import pytest
from painted_system import SIZE, PaintedSystem, PaintedSystems

from vton_jax import systems
from vton_jax.core.errors import WrongOption
from vton_jax.media import photo_files, video_files
from vton_jax.studio import shown
from vton_jax.studio.options import StudioOptions
from vton_jax.studio.service import EXAMPLE, Service

pytest.importorskip("fastapi", reason="the extra studio is not installed")
pytest.importorskip("httpx2", reason="FastAPI's test client wants httpx2")
pytest.importorskip("multipart", reason="the extra studio is not installed")


@pytest.fixture
def files(tmp_path):
    person = np.full((*SIZE, 3), 255, np.uint8)
    person[8:56, 16:32] = 20
    garment = np.full((*SIZE, 3), 255, np.uint8)
    garment[16:48, 12:36] = (0, 90, 180)
    photo_files.write_image(tmp_path / "person.png", person)
    photo_files.write_image(tmp_path / "garment.png", garment)
    video_files.write_video(tmp_path / "pose.mp4", [np.roll(person, shift, 1) for shift in range(5)], 10)
    names = {"person": "person.png", "garment": "garment.png", "pose": "pose.mp4"}
    return {name: tmp_path / file for name, file in names.items()}


@pytest.fixture
def studio(tmp_path, monkeypatch):
    """Makes (service, client) with options, which decodes uploads in this process."""
    from fastapi.testclient import TestClient

    from vton_jax.studio import server

    made = []
    decoded_here.patch(monkeypatch)

    def make(pause=lambda: None, **options):
        held = {"folder": str(tmp_path / f"studio{len(made)}"), "warm": False, "max_frames": 4} | options
        service = Service(StudioOptions(**held), PaintedSystems(pause))
        made.append(service)
        return service, TestClient(server.make_app(service, with_page=False), base_url="http://localhost")

    yield make
    for service in made:
        service.close()


def post(client, files, **options):
    opened = {name: path.read_bytes() for name, path in files.items()}
    return client.post("/api/try_on", files=opened, data={"framing": "pose"} | options)


def ended(client, job):
    end = time.monotonic() + 60
    while (found := client.get(f"/api/jobs/{job['id']}").json())["state"] in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_from_uploads_to_a_clip_with_its_settings(studio, files, tmp_path, monkeypatch):
    service, client = studio()
    monkeypatch.undo()  # decoded by a child, as for people
    answer = post(client, files, garment_type="upper", temporal_filter="none")
    assert answer.status_code == 202, answer.text
    job = ended(client, answer.json())
    assert job["state"] == "done" and job["files"].keys() == {"clip", "sheet", "save"}
    assert any("exchanging 'upper'; 4 frames" in note for note in job["notes"])
    (tmp_path / "got.mp4").write_bytes(client.get(job["files"]["clip"]).content)
    frames, rate = video_files.read_frames(tmp_path / "got.mp4")
    assert len(frames) == 4 and rate == 10 and frames.shape[1:3] == SIZE
    assert np.abs(frames[0][30, 24].astype(int) - (0, 90, 180)).max() < 25  # the garment's colour, where people are
    (tmp_path / "got.zip").write_bytes(client.get(job["files"]["save"]).content)
    with zipfile.ZipFile(tmp_path / "got.zip") as saved:
        held = set(saved.namelist())
        flags = saved.read("render.flags").decode().split()
        assert json.loads(saved.read("settings.json"))["options"]["garment_type"] == "upper"
    assert {"try_on.mp4", "try_on.png", "person.png", "garment.png", "pose.mp4"} <= held
    assert "--garment=garment.png" in flags and "--temporal_filter=none" in flags
    assert not list(service.uploaded.iterdir())  # what was brought is gone, what was decoded lies with the job


def test_a_reading_is_corrected_then_dressed_and_made_again(studio, files, tmp_path, monkeypatch, command):
    """A mask of the left half alone: what is read, and painted, is that; from the archive too."""
    from PIL import Image

    service, _ = studio()
    asked = {"framing": "pose"}
    half = photo_files.read_photo(files["garment"])
    half[16:48, 24:36] = (0, 180, 0)  # of another colour, so that the mask is seen
    photo_files.write_image(files["garment"], half)
    layer = np.zeros((*SIZE, 4), np.uint8)
    layer[16:48, 12:24] = 255
    Image.fromarray(layer).save(service.uploaded / "layer", format="PNG")
    seen = service.read(asked, files, {"garment": service.uploaded / "layer"})
    while seen.state not in ("done", "failed"):
        time.sleep(0.02)
    assert seen.state == "done", seen.error
    worn = np.asarray(seen.kept.reading.garments[0].layout.segmentation) > 0
    assert worn[:, 12:24].sum() == worn.sum() == 32 * 12
    job = service.dress(asked, files, seen)
    while job.state not in ("done", "failed"):
        time.sleep(0.02)
    assert job.kept.reading is seen.kept.reading and job.result["reading"] == seen.result["reading"]
    with zipfile.ZipFile(job.result["save"]) as saved:
        saved.extractall(tmp_path / "saved")
    monkeypatch.chdir(tmp_path / "saved")
    monkeypatch.setitem(systems.SYSTEMS, "lab126", lambda options: PaintedSystem())
    command("vton_jax.render", "--flagfile=render.flags", "--output=again.mp4")
    first, again = (video_files.read_frames(tmp_path / "saved" / name)[0] for name in ("try_on.mp4", "again.mp4"))
    np.testing.assert_array_equal(first, again)
    flags = [line for line in Path("render.flags").read_text().splitlines() if "mask" not in line]
    Path("uncorrected.flags").write_text("\n".join(flags))
    command("vton_jax.render", "--flagfile=uncorrected.flags", "--output=uncorrected.mp4")
    assert (video_files.read_frames("uncorrected.mp4")[0] != first).any()
    other = service.dress(asked | {"garment_type": "lower"}, files, seen)  # which needs another reading
    while other.state not in ("done", "failed"):
        time.sleep(0.02)
    assert other.kept.reading is not seen.kept.reading


def test_two_garments_are_worn_together_and_boxes_say_where(studio, files, tmp_path):
    """The second garment's picture shows two, of which its box shows the lower one."""
    rack = np.full((2 * SIZE[0], SIZE[1], 3), 255, np.uint8)
    rack[16:48, 12:36], rack[80:112, 12:36] = (0, 150, 0), (180, 30, 0)
    photo_files.write_image(tmp_path / "rack.png", rack)
    service, client = studio()
    brought = (("person", "person.png"), ("garment", "garment.png"), ("garment", "rack.png"))
    opened = [(name, (tmp_path / file).read_bytes()) for name, file in brought]
    said = {"framing": "pose", "garment_is": "person", "garment_box": ["", "0,0.5,1,1"]}
    job = ended(client, client.post("/api/try_on", files=opened, data=said).json())
    assert job["state"] == "done", job["error"]
    reading = service.jobs.get(job["id"]).kept.reading
    assert [int(garment.garment_type) for garment in reading.garments] == [0, 1]  # upper, lower
    np.testing.assert_allclose(reading.garments[1].image[32, 24], np.float32((180, 30, 0)) / 255, atol=0.02)
    (tmp_path / "got.zip").write_bytes(client.get(job["files"]["save"]).content)
    with zipfile.ZipFile(tmp_path / "got.zip") as saved:
        flags = saved.read("render.flags").decode().split()
        assert {"garment.png", "second_garment.png"} <= set(saved.namelist())
    assert [flag for flag in flags if flag.startswith("--garment=")] == [
        "--garment=garment.png", "--garment=second_garment.png"
    ]  # fmt: skip
    assert [flag for flag in flags if "box" in flag] == ["--garment_box=", "--garment_box=0,0.5,1,1"]
    answer = client.post("/api/try_on", files=opened, data={"person_box": "0,0,300,200"})
    assert answer.status_code == 422 and "person_box=0,0,300,200 is not understood" in answer.json()["detail"]
    assert client.post("/api/try_on", files=[*opened, opened[-1]]).status_code == 422
    assert not list(service.uploaded.iterdir())


def test_a_painted_mask_is_of_the_whole_picture(studio, files, tmp_path):
    """With a box on the right half, what is painted on its left edge is read there."""
    from PIL import Image

    service, _ = studio()
    layer = np.zeros((*SIZE, 4), np.uint8)
    layer[16:48, 24:30] = 255
    Image.fromarray(layer).save(tmp_path / "layer.png")
    asked = {"framing": "pose", "garment_box": ["0.5,0,1,1"]}
    job = service.read(asked, files, {"garment": tmp_path / "layer.png"})
    while job.state not in ("done", "failed"):
        time.sleep(0.02)
    assert job.state == "done", job.error
    editor = job.result["reading"]["editors"][1]
    drawn = np.asarray(Image.open(editor["layer"]))[..., 3] > 0
    assert drawn.shape == SIZE and editor["box"] == "0.5,0,1,1"
    assert (drawn != (layer[..., 3] > 0)).mean() < 0.03


def test_a_mask_goes_to_the_picture_and_back(studio, files):
    service, _ = studio()
    job = service.read({"framing": "pose"}, files)
    while job.state not in ("done", "failed"):
        time.sleep(0.02)
    mask = np.zeros(SIZE, bool)
    mask[20:40, 10:30] = True
    large = shown.where_it_lies(job.kept.reading, mask, np.zeros((160, 100, 3), np.uint8))
    back = job.kept.reading.framing.garment(0).place.bring_mask(large, SIZE)
    assert (back != mask).mean() < 0.02 and large.shape == (160, 100)


def test_cancelling_and_places(studio, files):
    gate = threading.Event()
    service, client = studio(pause=lambda: gate.wait(120))
    first, second = (post(client, files).json() for _ in range(2))
    assert client.get(f"/api/jobs/{second['id']}").json()["place"] == 1
    assert client.delete(f"/api/jobs/{second['id']}").json()["state"] == "cancelled"
    client.delete(f"/api/jobs/{first['id']}")
    gate.set()
    found = ended(client, first)
    assert found["state"] == "cancelled" and not found["files"] and service.systems.system.dressed <= 1
    assert client.get(f"/api/jobs/{first['id']}/clip").status_code == 404


def test_wrong_requests_are_answered_in_words(studio, files):
    service, client = studio()
    assert "known are auto, none" in post(client, files, remap="before").json()["detail"]
    assert post(client, files, armm="post").status_code == 422
    files["garment"].write_bytes(b"PK\x03\x04" + b"\0" * 99)
    answer = post(client, files)
    assert answer.status_code == 422 and answer.json()["detail"].startswith("The file for the garment is not a picture")
    assert client.get("/api/jobs/nobody").status_code == 404
    for path in ("clip/../../x", "..%2f..%2fsettings", "pictures/..%2f..%2fsecret.png", "pictures/person.png"):
        assert client.get(f"/api/jobs/{EXAMPLE}/{path}").status_code in (404, 422)
    assert not list(service.uploaded.iterdir()) and not list(service.jobs.folder.iterdir())


def test_the_example_is_there_from_the_start(studio):
    _, client = studio()
    job = client.get(f"/api/jobs/{EXAMPLE}").json()
    assert job["state"] == "done" and client.get(job["files"]["clip"]).headers["content-type"] == "video/mp4"
    assert client.get(f"/api/jobs/{EXAMPLE}/pictures/read_person.png").content[:4] == b"\x89PNG"


def test_the_password_the_host_and_the_origin_are_asked_for(studio):
    _, client = studio(password="open sesame")
    code = lambda text: {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}  # noqa: E731
    assert client.get("/api/options").status_code == 401
    assert client.get("/api/options", headers=code("me:open sesame")).status_code == 200
    assert client.get("/api/options", headers=code("me:open")).status_code == 401
    _, client = studio(max_megabytes=1)
    assert client.get("/api/options", headers={"host": "evil.example"}).status_code == 400
    assert client.delete("/api/jobs/x", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.delete("/api/jobs/x", headers={"origin": "http://localhost"}).status_code == 404
    assert client.post("/api/try_on", files={"person": b"x" * 5_000_000}).status_code == 413


def test_what_a_killed_studio_left_goes_and_what_is_not_its_own_stays(tmp_path):
    left = [tmp_path / "jobs" / secrets.token_urlsafe(16) / "person.png", tmp_path / "uploads" / ("0a" * 32) / "me.jpg",
            tmp_path / "uploads" / "mask_abcd1234"]  # fmt: skip
    others = [tmp_path / "jobs" / "thesis" / "chapter.txt", tmp_path / "uploads" / "holiday.jpg", tmp_path / "letter"]
    for path in (*left, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    options = StudioOptions(folder=str(tmp_path), warm=False)
    Service(options, PaintedSystems()).close()
    assert all(path.exists() for path in (*left, *others))  # it was no studio's folder before
    service = Service(options, PaintedSystems())
    try:
        assert not any(path.exists() for path in (*left, left[0].parent)) and all(path.exists() for path in others)
        with pytest.raises(WrongOption, match="is another studio's"):
            Service(options, PaintedSystems())
    finally:
        service.close()
    Service(options, PaintedSystems()).close()


def test_the_docs_name_every_route(studio):
    _, client = studio()
    page = client.get("/api/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page
    assert "auto | none | post | pre | joint" in page and "https://" not in page
