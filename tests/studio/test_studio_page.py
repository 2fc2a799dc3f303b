"""The studio's page in a real browser: read, correct, dress, watch the clip play, come back, live, for everybody."""

import shutil
import threading
import time

import browsers
import numpy as np
import pytest
from painted_system import PaintedSystems
from studio_pages import CLIP, StudioPage

playwright = browsers.require("gradio", "fastapi", "multipart", "websockets")
from vton_jax.media import photo_files
from vton_jax.studio import gallery, live, try_on

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def faults():
    return []


@pytest.fixture(scope="module")
def gate():
    """Is waited for before each frame."""
    found = threading.Event()
    found.set()
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory, faults, gate):
    from vton_jax.studio import server
    from vton_jax.studio.options import StudioOptions
    from vton_jax.studio.service import Service

    options = StudioOptions(folder=str(tmp_path_factory.mktemp("studio")), warm=False, max_frames=4)
    app = server.make_app(Service(options, PaintedSystems(lambda: gate.wait(60))))
    with browsers.served(app) as at, browsers.browser(playwright) as browser:
        opened = browsers.watched(browser.new_page(viewport=PHONE), faults)
        opened.goto(at)
        yield opened


def test_a_walk_through_the_page(page, faults, gate):
    # The example is there, rendered, before anything is asked for.
    page.wait_for_function("document.querySelector('video[src*=\"try_on\"]')?.readyState >= 2")
    # Look first: what was read is shown; the mask is corrected with a brush, and read again.
    page.get_by_role("button", name="Look first").first.click()
    page.get_by_text("Done.").first.wait_for()
    canvas = page.locator(".studio-editor[data-of=garment] canvas").first
    canvas.scroll_into_view_if_needed()
    place = canvas.bounding_box()
    page.mouse.move(place["x"] + 20, place["y"] + 20)
    page.mouse.down()
    page.mouse.move(place["x"] + 90, place["y"] + 30, steps=4)
    page.mouse.up()
    assert page.evaluate("studioCorrections('lab126').length") > 1000
    read = page.locator(".studio-figures img").first
    before = read.get_attribute("src")
    page.get_by_role("button", name="Read again").first.click()
    page.wait_for_function(f"document.querySelector('.studio-figures img').getAttribute('src') != '{before}'")
    # A box is drawn around the person; it is read with the next clip.
    canvas = page.locator(".studio-editor[data-of=person] canvas").first
    canvas.scroll_into_view_if_needed()
    place = canvas.bounding_box()
    page.mouse.move(place["x"] + place["width"] / 4, place["y"] + 2)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] - 2, place["y"] + place["height"] - 2, steps=3)
    page.mouse.up()
    field = page.get_by_label("Box of the person").first
    assert [round(float(part), 1) for part in field.input_value().split(",")] == pytest.approx([0.2, 0, 1, 1], abs=0.11)
    # Dress, and watch the clip play.
    page.get_by_role("button", name="Dress", exact=True).first.click()
    video = "document.querySelector('video[src*=\"try_on\"]')"
    page.wait_for_function(f"{video}?.readyState >= 2 && {video}.duration < 1")  # the example has 48 frames, this has 4
    assert page.evaluate(f"{video}.duration") == pytest.approx(4 / 15, abs=0.1)
    assert page.evaluate(f"{video}.videoHeight") == 64
    page.get_by_text("Done.").first.wait_for()
    assert page.get_by_label("Box of the person").first.input_value().startswith("0.2")
    shown = page.evaluate(f"{video}.currentSrc")
    assert StudioPage(page).decoded() == 4
    # It does not play on while the next is made; who cancels that has it back.
    gate.clear()
    page.get_by_role("button", name="Dress", exact=True).first.click()
    page.wait_for_function(f"{video} === null")
    page.get_by_role("button", name="Cancel").first.click()
    page.get_by_text("Stopping after this step.").first.wait_for()
    gate.set()
    page.get_by_text("Cancelled.").first.wait_for()
    page.wait_for_function(f"{video}?.readyState >= 2")
    assert page.evaluate(f"{video}.currentSrc").split("/file=")[-1] == shown.split("/file=")[-1]
    page.get_by_role("button", name="Dress", exact=True).first.click()
    page.wait_for_function(f"{video} === null")
    page.wait_for_function(f"{video}?.readyState >= 2")
    # A refresh does not lose it. The page that goes may complain of what is cut off.
    assert not faults
    page.reload()
    page.wait_for_function(f"{video}?.readyState >= 2")
    assert page.evaluate(f"{video}.currentSrc").split("/file=")[-1] == shown.split("/file=")[-1]
    faults[:] = [said for said in faults if "AbortError" not in said and "Connection errored out" not in said]
    assert not faults


def test_files_of_ones_own_and_a_letter_named_jpg(page, faults, tmp_path):
    page.set_viewport_size(DESK)
    seen = StudioPage(page)
    (tmp_path / "letter.jpg").write_text("Dear studio,\n" * 40)
    seen.bring("Garment, flat or worn", tmp_path / "letter.jpg")
    seen.click("Dress")
    seen.says("The file for the garment is not a picture (JPEG, PNG, WebP).")
    photo_files.write_image(tmp_path / "shirt.png", np.full((64, 48, 3), (0, 130, 0), np.uint8))
    seen.bring("Garment, flat or worn", tmp_path / "shirt.png")
    shown = page.evaluate(f"{CLIP}.currentSrc")
    assert seen.tab_to("Dress")  # by the keyboard alone
    page.keyboard.press("Enter")
    page.wait_for_function(f"{CLIP} && {CLIP}.currentSrc != '{shown}'")
    seen.there()
    assert seen.decoded() == 4
    assert not faults


def test_of_two_people_each_sees_their_place(page, faults, gate):
    other = browsers.watched(page.context.browser.new_context(viewport=DESK).new_page(), faults)
    other.goto(page.url)
    first, second = StudioPage(page), StudioPage(other)
    second.there()
    gate.clear()
    try:
        first.click("Dress")
        page.wait_for_function(f"!{CLIP}")
        second.click("Dress")
        second.says("Waiting: you are next.")
    finally:
        gate.set()
    second.says("Done.")
    second.there()
    first.there()
    other.context.close()
    assert not faults


def test_results_of_every_tab_are_there_after_a_refresh(page, faults, monkeypatch):
    def fill_in(job, options, kept):
        shutil.copy(gallery.PERSON, job.folder / "filled.png")
        return {"sheet": "", "pictures": [str(job.folder / "filled.png")] * 2}

    def drive(job, options, kept):
        return {"clip": str(shutil.copy(gallery.POSE, job.folder / "driven.mp4"))}

    monkeypatch.setattr(try_on, "fill_in", fill_in)
    monkeypatch.setattr(try_on, "drive", drive)
    seen = StudioPage(page)
    filled = "document.querySelectorAll('img[alt^=filling]').length == 2"
    driven = "document.querySelector('video[src*=driven]')?.readyState >= 2"
    for tab, button, there in (("Fill in", "Fill in", filled), ("Drive", "Bring to life", driven)):
        seen.tab(tab)
        seen.click(button)
        page.wait_for_function(there)
    seen.tab("ClothFlow")
    seen.begin("Dress")
    page.reload()
    for tab, there in (("Fill in", filled), ("Drive", driven), ("ClothFlow", f"{CLIP}?.readyState >= 2")):
        seen.tab(tab)
        page.wait_for_function(there)
    assert not faults


def test_a_film_can_be_cancelled(page, faults, monkeypatch):
    def watch_search(job, seen, kept, frame):
        for iteration in range(600):
            job.step("backward procedure", iteration, 600)
            time.sleep(0.1)
        raise AssertionError("nobody cancelled it")

    monkeypatch.setattr(try_on, "watch_search", watch_search)
    seen = StudioPage(page)
    seen.tab("Try on")
    seen.there()
    seen.begin("Dress")
    seen.tab("What the machine did")
    seen.click("Film the backward procedure on this frame")
    seen.says("backward procedure")
    seen.click("Cancel")
    seen.says("Cancelled.")
    assert not faults


class Negative:
    """Stands in for the mirror."""

    def process(self, frame):
        return 255 - frame

    def key(self, key):
        pass

    def note(self):
        return ""

    def close(self):
        pass


def test_the_camera_is_answered(page, faults, monkeypatch):
    page.set_viewport_size(DESK)  # where no tab hides in a menu
    monkeypatch.setattr(live, "mirror", lambda options, kept: lambda size: Negative())
    page.get_by_role("tab", name="Mirror").click()
    page.get_by_role("button", name="Start the mirror").click()
    page.wait_for_function("document.querySelector('.studio-live')?.dataset.milliseconds > 0")
    assert "ms from capture to display" in page.locator(".studio-live").inner_text()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    assert not faults


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")])
def test_nothing_keeps_people_out(page, size, scheme):
    """Every tab fits, and of axe-core's rules none that is serious or critical is broken."""
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    page.reload()
    page.wait_for_function("document.querySelector('video[src*=\"try_on\"]')?.readyState >= 2")
    found, seen = [], StudioPage(page)
    for tab in seen.every_tab():
        if wide := seen.too_wide():
            found.append((tab, f"{wide} pixels too wide"))
        found += [(tab, *one) for one in browsers.barriers(page)]
    assert not found
