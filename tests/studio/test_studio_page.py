"""The studio's page in a real browser: read, correct, dress, watch the clip play, come back, live, for everybody."""

import time

import browsers
import pytest
from painted_system import PaintedSystems

playwright = browsers.require("gradio", "fastapi", "multipart", "websockets")
from vton_jax.studio import live

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def faults():
    return []


@pytest.fixture(scope="module")
def page(tmp_path_factory, faults):
    from vton_jax.studio import server
    from vton_jax.studio.options import StudioOptions
    from vton_jax.studio.service import Service

    options = StudioOptions(folder=str(tmp_path_factory.mktemp("studio")), warm=False, max_frames=4)
    app = server.make_app(Service(options, PaintedSystems(lambda: time.sleep(0.1))))
    with browsers.served(app) as at, browsers.browser(playwright) as browser:
        opened = browsers.watched(browser.new_page(viewport=PHONE), faults)
        opened.goto(at)
        yield opened


def test_a_walk_through_the_page(page, faults):
    # The example is there, rendered, before anything is asked for.
    page.wait_for_function("document.querySelector('video[src*=\"try_on\"]')?.readyState >= 2")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # a phone's width
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
    page.get_by_role("button", name="Dress").first.click()
    video = "document.querySelector('video[src*=\"try_on\"]')"
    page.wait_for_function(f"{video}?.readyState >= 2 && {video}.duration < 1")  # the example has 48 frames, this has 4
    assert page.evaluate(f"{video}.duration") == pytest.approx(4 / 15, abs=0.1)
    assert page.evaluate(f"{video}.videoHeight") == 64
    page.get_by_text("Done.").first.wait_for()
    assert page.get_by_label("Box of the person").first.input_value().startswith("0.2")
    shown = page.evaluate(f"{video}.currentSrc")
    # It does not play on while the next is made; who cancels that has it back.
    page.get_by_role("button", name="Dress").first.click()
    page.wait_for_function(f"{video} === null")
    page.get_by_role("button", name="Cancel").first.click()
    page.get_by_text("Cancelled.").first.wait_for()
    page.wait_for_function(f"{video}?.readyState >= 2")
    assert page.evaluate(f"{video}.currentSrc").split("/file=")[-1] == shown.split("/file=")[-1]
    page.get_by_role("button", name="Dress").first.click()
    page.wait_for_function(f"{video} === null")
    page.wait_for_function(f"{video}?.readyState >= 2")
    # A refresh does not lose it. The page that goes may complain of what is cut off.
    assert not faults
    page.reload()
    page.wait_for_function(f"{video}?.readyState >= 2")
    assert page.evaluate(f"{video}.currentSrc").split("/file=")[-1] == shown.split("/file=")[-1]
    faults[:] = [said for said in faults if "AbortError" not in said and "Connection errored out" not in said]
    assert not faults


class Negative:
    """Stands in for the mirror."""

    def process(self, frame):
        return 255 - frame

    def key(self, key):
        pass

    def note(self):
        return ""


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_out(page, scheme):
    """Of axe-core's rules, none that is serious or critical is broken."""
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme=scheme)
    page.reload()
    page.wait_for_function("document.querySelector('video[src*=\"try_on\"]')?.readyState >= 2")
    found = []
    for tab in ("Result", "What was read", "What the machine did", "Fill in", "Mirror", "Drive"):
        page.get_by_role("tab", name=tab).first.click()
        page.wait_for_timeout(300)
        found += [(tab, *one) for one in browsers.barriers(page)]
    assert not found
