"""A study from folders to answers: written once, resumed, and served without a word about what is real."""

import concurrent.futures
import json

import cv2
import numpy as np
import pytest

from vton_jax.core.errors import UserError
from vton_jax.media import photo_files
from vton_jax.study import records
from vton_jax.study.create import create
from vton_jax.study.options import CreateOptions
from vton_jax.study.store import Store

pytest.importorskip("fastapi", reason="the extra study is not installed")
pytest.importorskip("httpx2", reason="FastAPI's test client wants httpx2")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Real pictures that are large and simple, generated ones that are small and noisy: files of very unlike sizes."""
    folder, noise = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for index in range(8):
        photo_files.write_image(folder / "real" / f"photo{index}.png", np.full((90, 70, 3), 20 * index, np.uint8))
        for arm in ("none", "post"):
            picture = noise.integers(0, 255, (40, 30, 3)).astype(np.uint8)
            photo_files.write_image(folder / arm / f"case{index}.png", picture)
    return folder


def made(folders, path, **changes):
    arms = tuple(f"{arm}:{folders / arm}" for arm in ("none", "post"))
    options = {"trials": 8, "practice": 2, "checks": 1, "repeats": 1, "size": (64, 48), "exposures": (1.0, 2.0)}
    options |= {"real": str(folders / "real"), "arms": arms}
    return create(CreateOptions(**options | changes), path)


@pytest.fixture
def served(folders, tmp_path):
    from fastapi.testclient import TestClient

    from vton_jax.study import server

    store = made(folders, tmp_path / "study.db")
    return store, TestClient(server.make_app(store))


def pixels(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


def begin(client, **more):
    return client.post("/api/sessions", json={"consent": True, **more}).json()


def answer(client, session, trial, response="real", name="client-0001", **more):
    values = {"client": name, "trial": trial, "response": response, "shown_ms": 1000, "refresh_ms": 16.7, **more}
    return client.post(f"/api/sessions/{session['token']}/answers", json=values)


def test_from_consent_to_the_completion_code(served):
    store, client = served
    assert client.post("/api/sessions", json={"consent": False}).status_code == 422
    session = begin(client, external="PID1")
    assert session["done"] == 0 and session["total"] == 2 + 8 + 1 + 1 and session["code"] is None
    feedback = []
    for index in range(session["total"]):
        trial = client.get(f"/api/sessions/{session['token']}/trials/{index}").json()
        assert trial["practice"] == (index < 2) and trial["asked_ms"] in (1000, 2000)
        picture = client.get(trial["pictures"][0])
        assert picture.headers["content-type"] == "image/png" and picture.content[:4] == b"\x89PNG"
        state = answer(client, session, index, rt=321.5).json()
        feedback.append(state["feedback"])
    assert state["code"] == store.settings["code"] and state["done"] == session["total"]
    assert set(feedback[:2]) == {"real", "generated"} and set(feedback[2:]) == {None}
    assert store.all("sessions")[0]["ended"] is not None
    rows = records.answered(store)
    assert len(rows) == session["total"] and rows[0].rt == 321.5 and rows[0].external == "PID1"


def test_answers_are_written_once_in_order(served):
    store, client = served
    session = begin(client)
    assert answer(client, session, 1).status_code == 409  # trial 0 is due
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        responses = ["real", "generated"] * 4
        sent = [threads.submit(answer, client, session, 0, one, f"client-{n:04}") for n, one in enumerate(responses)]
        assert {one.result().json()["done"] for one in sent} == {1}
    (row,) = store.all("answers")
    first = row["response"]
    answer(client, session, 0, "real" if first == "generated" else "generated")
    assert [row["response"] for row in store.all("answers")] == [first]
    assert answer(client, session, 1, "neither").status_code == 422


def test_a_closed_tab_goes_on_where_it_stopped(served):
    _, client = served
    session = begin(client, external="W7")
    answer(client, session, 0)
    assert client.get(f"/api/sessions/{session['token']}").json()["done"] == 1
    again = begin(client, external="W7")  # from another browser
    assert again["token"] == session["token"] and again["done"] == 1
    assert client.get("/api/sessions/nobody").status_code == 404
    whose = lambda external: client.get(f"/api/sessions/{session['token']}", params={"external": external})  # noqa: E731
    assert whose("W7").json()["done"] == 1 and "external" not in whose("W7").json()
    assert whose("W8").status_code == 404  # somebody else at the same browser


def test_a_participants_code_opens_their_session_in_another_browser(served):
    store, client = served
    session = begin(client)
    answer(client, session, 0)
    assert begin(client, participant=session["participant"]) == session | {"done": 1}
    refused = client.post("/api/sessions", json={"consent": True, "participant": "NOBODY22"})
    assert refused.status_code == 404 and "no participant NOBODY22" in refused.json()["detail"]
    assert len(store.all("sessions")) == 1


def chunks(png):
    """(name, length) of each chunk, in order; what lies behind the last is one as well."""
    found, at = [], 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        found.append((png[at + 4 : at + 8], length))
        at += 12 + length
        if found[-1][0] == b"IEND":
            break
    return (*found, (b"behind", len(png) - at))


def test_what_is_served_gives_nothing_away(served):
    store, client = served
    layouts, headers, said, bodies = set(), set(), "", {}
    for number in range(6):
        session = begin(client)
        for index in range(session["total"]):
            trial = client.get(f"/api/sessions/{session['token']}/trials/{index}")
            said += trial.text
            picture = client.get(trial.json()["pictures"][0])
            layouts.add(chunks(picture.content))  # how a picture compresses is not seen
            stored = json.loads(store.all("sessions")[-1]["trials"])[index]["pictures"][0]
            assert bodies.setdefault(stored, picture.content) == picture.content
            headers.add(tuple(sorted(picture.headers.items())))
            answer(client, session, index, name=f"client-{number}-{index}")
    assert len(layouts) == 1 and len(headers) == 1
    assert layouts.pop()[-2:] == ((b"IEND", 0), (b"behind", 0))
    for number, body in bodies.items():
        np.testing.assert_array_equal(pixels(body), pixels(store.png(number)))
    names = [row["name"] for row in store.pictures() if row["kind"] != "check"]
    assert not [
        word for word in (*names, "none", "post", "check", "repeat") if f'"{word}' in said or f"/{word}" in said
    ]
    ahead = begin(client)
    assert client.get(f"/api/sessions/{ahead['token']}/trials/2").status_code == 404  # pictures of what is not due


def test_rows_of_the_square_are_taken_in_turn(served):
    store, client = served
    for _ in range(8):
        begin(client)
    rows = [row["row"] for row in store.all("sessions")]
    assert sorted(rows[:4]) == sorted(rows[4:]) == [0, 1, 2, 3]


def test_events_are_written_once(served):
    store, client = served
    session = begin(client)
    seen = {"client": "event-000001", "trial": 0, "kind": "blur", "detail": "=1+1", "elapsed_ms": 12.5}
    for _ in range(2):
        assert client.post(f"/api/sessions/{session['token']}/events", json=seen).json() == {"written": True}
    assert [(row["kind"], row["trial"]) for row in store.all("events")] == [("blur", 0)]


def test_the_page_needs_no_other_server(served):
    _, client = served
    page, script = client.get("/").text, client.get("/study.js").text
    assert "<main>" in page and "requestAnimationFrame" in script
    assert "http://" not in page + script and "https://" not in page + script
    about = client.get("/api/study").json()
    assert about["answers"] == ["real", "generated"] and "code" not in about


def test_csv_has_the_columns_of_jspsych(served, tmp_path):
    store, client = served
    session = begin(client)
    answer(client, session, 0, "generated", rt=250, frames=60, elapsed_ms=5000)
    client.post(
        f"/api/sessions/{session['token']}/events",
        json={"client": "event-000001", "kind": "blur", "detail": "=cmd()"},
    )
    records.write(store, records.answered(store), tmp_path)
    header, row = (tmp_path / "trials.csv").read_text().splitlines()
    held = dict(zip(header.split(","), row.split(","), strict=True))
    jspsych = {"trial_type", "trial_index", "time_elapsed", "internal_node_id", "rt", "stimulus", "response"}
    assert jspsych | {"asked_ms", "shown_ms", "frames"} <= held.keys()
    assert held["response"] == "1" and held["answer"] == "generated" and held["rt"] == "250.0"
    assert held["correct"] == str(held["stimulus"].split("/")[0] != "real").lower()
    assert "'=cmd()" in (tmp_path / "events.csv").read_text()


def test_wrong_folders_are_said_and_nothing_is_written(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    for changes, words in (
        ({"arms": ("none",)}, "NAME:DIR"),
        ({"arms": (f"none:{tmp_path / 'empty'}",)}, "holds no pictures"),
        ({"arms": (f"none:{folders / 'none'}", f"post:{folders / 'real'}")}, "no picture of one name"),
        ({"consent": str(tmp_path / "nowhere.txt")}, "cannot be read"),
        ({"exposures": (0.0,)}, "above 0"),
    ):
        with pytest.raises(UserError, match=words):
            made(folders, tmp_path / "study.db", **changes)
        assert not (tmp_path / "study.db").exists()
    made(folders, tmp_path / "study.db")
    with pytest.raises(UserError, match="exists already"):
        made(folders, tmp_path / "study.db")
    (tmp_path / "text.db").write_text(json.dumps({}) * 500)
    with pytest.raises(UserError, match="is no study"):
        Store(tmp_path / "text.db")
