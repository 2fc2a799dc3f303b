"""What people do on the studio's page, for tests and for benchmarks/studio_walk.py."""

import re
from pathlib import Path

TABS = {"Try on": ("Result", "What was read", "What the machine did"), "ClothFlow": ("Result", "What was read",
        "What the machine did"), "Fill in": (), "Mirror": (), "Drive": ()}  # fmt: skip
CLIP = "[...document.querySelectorAll('video[src*=\"try_on\"]')].find((video) => video.offsetParent)"
_SAYS = "[...document.querySelectorAll('.studio-progress')].find((one) => one.offsetParent)"
_CLEAR = re.compile("Remove Image|^Clear$")


class StudioPage:
    """A page of the studio, seen by one person: of what is asked for, what the open tab shows counts."""

    def __init__(self, page):
        self.page = page

    def there(self, clip: str = CLIP) -> None:
        """Waits until a clip can be played."""
        self.page.wait_for_function(f"{clip}?.readyState >= 2")

    def tab(self, name: str) -> None:
        """Opens a tab, which at a phone's size may lie behind a button."""
        self.page.get_by_role("tab").locator("visible=true").first.wait_for()
        tabs = self.page.get_by_role("tab", name=name, exact=True).locator("visible=true")
        if tabs.count():
            tabs.first.click()
        else:
            hidden = self.page.get_by_role("button", name=name, exact=True).locator("visible=true")
            for menu in self.page.get_by_label("More tabs").locator("visible=true").all():
                menu.click()
                if hidden.count():
                    break
                menu.click()
            hidden.first.click()
        self.page.wait_for_timeout(300)

    def every_tab(self):
        """Opens one after the other; yields their names."""
        for outer, inner in TABS.items():
            self.tab(outer)
            for name in inner or ("",):
                if name:
                    self.tab(name)
                yield f"{outer} {name}".strip()

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).locator("visible=true").first.click()

    def says(self, text: str) -> None:
        """Waits until the progress says so, or what is wrong."""
        said = self.page.locator(".studio-progress, .studio-error").filter(has_text=text)
        said.locator("visible=true").first.wait_for()

    def start(self, button: str) -> None:
        """Clicks, and waits until the progress is of the job that this puts in."""
        before = self.page.evaluate(f"{_SAYS}?.dataset.job ?? ''")
        self.click(button)
        self.page.wait_for_function(f"({_SAYS}?.dataset.job ?? {before!r}) !== {before!r}")

    def begin(self, button: str) -> None:
        """Clicks, and waits until what that begins is done."""
        self.start(button)
        self.says("Done.")

    def bring(self, label: str, path: Path) -> None:
        """Brings a file to an input, in place of what is there."""
        block = self.page.locator(".block", has=self.page.get_by_text(label, exact=True)).locator("visible=true").last
        block.get_by_label(_CLEAR).first.click()
        block.locator("input[type=file]").first.set_input_files(path)
        block.get_by_label(_CLEAR).first.wait_for()

    def decoded(self) -> int:
        """Plays the clip once, from its beginning: how many frames were decoded."""
        self.there()
        return self.page.evaluate(f"""async () => {{
            const clip = {CLIP};
            const once = (event) => new Promise((resolve) => clip.addEventListener(event, resolve, {{ once: true }}));
            Object.assign(clip, {{ loop: false, muted: true, playbackRate: 0.5 }});  // none is left out
            clip.pause();
            const before = clip.getVideoPlaybackQuality().totalVideoFrames;
            const begin = once("seeked");
            clip.currentTime = 0;
            await begin;
            const end = once("ended");
            await clip.play();
            await end;
            return clip.getVideoPlaybackQuality().totalVideoFrames - before;
        }}""")

    def tab_to(self, name: str) -> bool:
        """Goes to a button by the key Tab alone; whether it is reached."""
        for _ in range(100):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("document.activeElement.innerText") == name:
                return True
        return False

    def too_wide(self) -> int:
        """Pixels by which the page is wider than the screen."""
        return max(0, self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))
