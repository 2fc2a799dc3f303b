"""A long walk through the studio's page: python benchmarks/studio_walk.py [--output=out/studio_walk]

Opens the page of a real server, with the released weights, in Chromium (which has to be on the path, beside the
packages playwright and axe-playwright-python) and does what people do: bring files and a wrong one, correct, dress,
count the frames that play, cancel, come back, fill in, drive, film, dress by ClothFlow, by keyboard alone, two at once;
then looks at every tab at a desk's and a phone's size, in light and dark. Pictures of each step go to the folder: look
at them. What is not as it should be is said at the end (exit code 1).
"""

import re
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import browsers
from absl import flags
from axe_playwright_python.sync_playwright import Axe
from playwright import sync_api
from studio_pages import CLIP, StudioPage

from benchmarks.studio_load import server
from vton_jax.command_line import flag_utils
from vton_jax.studio import gallery

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "out/studio_walk", "Folder for the pictures.")
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
_PATIENCE = 300_000  # milliseconds


class Walk(StudioPage):
    """One browser's page. Args: opened: the page. folder: for pictures. faults: what is wrong goes there."""

    def __init__(self, opened: sync_api.Page, folder: Path, faults: list[str]):
        super().__init__(browsers.watched(opened, faults))
        self.folder, self.faults = folder, faults
        opened.set_default_timeout(_PATIENCE)

    def show(self, name: str) -> None:
        self.page.wait_for_timeout(400)
        self.page.screenshot(path=self.folder / f"{name}.png", full_page=True)

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.faults.append(what)

    def plays(self, what: str, count: int) -> None:
        frames = self.decoded()
        self.expect(abs(frames - count) <= 2, f"{frames} frames of {what} were decoded, of {count}")


def first_visit(walk: Walk, files: Path) -> None:
    """A wrong file, one of one's own, a correction, the clip, and all of it saved."""
    page = walk.page
    walk.there()
    walk.show("01 the example")
    (files / "letter.jpg").write_text("Dear studio,\n" * 40)
    walk.bring("Garment, flat or worn", files / "letter.jpg")
    walk.click("Dress")
    walk.says("The file for the garment is not a picture (JPEG, PNG, WebP).")
    walk.show("02 a letter named jpg")
    walk.bring("Garment, flat or worn", min(gallery.FLATS.glob("t-shirt_*.jpg")))
    walk.click("Look first")
    walk.says("Done.")
    walk.show("03 what was read")
    canvas = page.locator(".studio-editor[data-of=garment] canvas").locator("visible=true").first
    canvas.scroll_into_view_if_needed()
    place = canvas.bounding_box()
    page.get_by_label("Erase").locator("visible=true").first.check()
    page.mouse.move(place["x"] + place["width"] * 0.1, place["y"] + place["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] * 0.4, place["y"] + place["height"] * 0.5, steps=8)
    page.mouse.up()
    walk.show("04 the mask corrected")
    walk.begin("Read again with these corrections")
    walk.show("05 read again")
    walk.click("Dress")
    walk.says(" of ")
    walk.show("06 at work")
    walk.says("Done.")
    walk.plays("the clip", 48)
    walk.show("07 dressed")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the clip with its settings").locator("visible=true").first.click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        walk.expect("garment_mask.png" in archive.namelist(), "the archive holds no mask")


def backwards(walk: Walk) -> None:
    """The backward procedure finds the layout, and is filmed; both are there after a refresh."""
    page = walk.page
    page.get_by_role("button", name=re.compile("^Settings")).locator("visible=true").click()
    page.get_by_label("Layout that is painted into").locator("visible=true").click()
    page.get_by_role("option", name="backward procedure").click()
    walk.show("08 settings")
    walk.begin("Dress")
    walk.tab("What the machine did")
    error = page.get_by_alt_text(re.compile("the backward procedure's error"))
    error.locator("visible=true").wait_for()
    walk.show("09 what the machine did")
    walk.begin("Film the backward procedure on this frame")
    film = "document.querySelector('video[src*=\"iterations\"]')?.readyState >= 2"
    page.wait_for_function(film)
    walk.show("10 filmed")
    page.reload()
    walk.there()
    walk.tab("What the machine did")
    page.wait_for_function(film)
    error.locator("visible=true").wait_for()


def other_tabs(walk: Walk) -> None:
    """Filling in, driving and ClothFlow, and what of them is there after a refresh."""
    page = walk.page
    walk.tab("Fill in")
    walk.begin("Fill in")
    fillings = page.get_by_alt_text(re.compile("^filling"))
    walk.expect(fillings.count() == 4, f"{fillings.count()} fillings are shown, not 4")
    walk.show("11 filled in")
    walk.tab("Drive")
    walk.begin("Bring to life")
    walk.show("12 driven")
    walk.tab("ClothFlow")
    walk.begin("Dress")
    walk.plays("ClothFlow's clip", 48)
    walk.show("13 ClothFlow")
    page.reload()
    for tab, there in (
        ("Fill in", "document.querySelectorAll('img[alt^=filling]').length == 4"),
        ("Drive", "document.querySelector('video[src*=\"driven\"]')?.readyState >= 2"),
        ("ClothFlow", f"{CLIP}?.readyState >= 2"),
    ):
        walk.tab(tab)
        page.wait_for_function(there)


def two_at_once(browser: sync_api.Browser, address: str, folder: Path, faults: list[str]) -> None:
    """Two people: who comes second is told so, and both are served; who cancels lets the next begin."""
    first, second = (Walk(browser.new_context(viewport=DESK).new_page(), folder, faults) for _ in range(2))
    for walk in (first, second):
        walk.page.goto(address)
        walk.there()
    first.start("Dress")
    second.start("Dress")
    second.says("Waiting: you are next.")
    second.show("14 the second of two")
    first.click("Cancel")
    first.says("Cancelled.")
    first.show("15 who cancels has the clip before")
    first.plays("the example", 48)
    second.says("Done.")
    second.plays("the second one's clip", 48)
    for walk in (first, second):
        walk.page.context.close()


def by_keyboard(walk: Walk) -> None:
    """Tab goes to Dress, and Enter presses it."""
    page = walk.page
    page.reload()
    walk.there()
    if not walk.tab_to("Dress"):
        raise SystemExit("Tab does not lead to Dress.")
    walk.show("16 Dress has the focus")
    page.keyboard.press("Enter")
    walk.says(" of ")
    walk.says("Done.")


def every_tab(walk: Walk, size: dict[str, int], scheme: str) -> None:
    """Each tab is as wide as the screen, and none of axe-core's serious rules is broken."""
    page = walk.page
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    page.reload()
    walk.there()
    for tab in walk.every_tab():
        name = f"{tab} {scheme} at {size['width']}"
        walk.expect(not walk.too_wide(), f"{name}: {walk.too_wide()} pixels wider than the screen")
        for broken in Axe().run(page).response["violations"]:
            if broken["impact"] in ("serious", "critical"):
                walk.faults.append(f"{name}: {broken['id']}: {[node['html'] for node in broken['nodes']]}")
        walk.show(f"tab {name}")


def main() -> None:
    folder, faults = Path(FLAGS.output), []
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as name,
        server(Path(name)) as (address, _),
        browsers.browser(sync_api) as browser,
    ):
        walk = Walk(browser.new_context(viewport=DESK).new_page(), folder, faults)
        walk.page.goto(address)
        first_visit(walk, Path(name))
        backwards(walk)
        other_tabs(walk)
        two_at_once(browser, address, folder, faults)
        walk.tab("Try on")
        by_keyboard(walk)
        for size in (DESK, PHONE):
            for scheme in ("light", "dark"):
                every_tab(walk, size, scheme)
    print(f"walked; pictures are in {folder}; {len(faults)} faults")
    if faults:
        raise SystemExit("\n".join(faults))


if __name__ == "__main__":
    flag_utils.run(main)
