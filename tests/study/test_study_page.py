"""The participant's page in a real browser: consent, exposures that are measured, resume, completion."""

import browsers
import numpy as np

from vton_jax.media import photo_files
from vton_jax.study import records
from vton_jax.study.create import create
from vton_jax.study.options import CreateOptions

playwright = browsers.require("fastapi")


def test_from_consent_to_the_code_with_a_tab_closed_between(tmp_path):
    from vton_jax.study import server

    noise = np.random.default_rng(0)
    for folder in ("real", "post"):
        for index in range(4):
            picture = noise.integers(0, 255, (64, 48, 3)).astype(np.uint8)
            photo_files.write_image(tmp_path / folder / f"{index}.png", picture)
    options = CreateOptions(
        real=str(tmp_path / "real"), arms=(f"post:{tmp_path / 'post'}",), trials=4, practice=1, checks=0, repeats=0,
        size=(64, 48), exposures=(0.5,),
    )  # fmt: skip
    store = create(options, tmp_path / "study.db")
    with browsers.served(server.make_app(store)) as at, browsers.browser(playwright) as browser:
        context = browser.new_context(viewport={"width": 390, "height": 844})
        faults = []

        def opened():
            page = browsers.watched(context.new_page(), faults)
            page.goto(f"{at}/?PROLIFIC_PID=P1")
            return page

        page = opened()
        page.get_by_role("button", name="I agree").click()
        page.get_by_role("button", name="Start").click()
        page.get_by_role("button", name="Generated").click()
        page.get_by_role("button", name="Go on").click()  # the practice's feedback
        page.get_by_role("button", name="Real").wait_for()
        page.keyboard.press("1")
        page.get_by_role("button", name="Real").wait_for(state="detached")
        page.wait_for_timeout(300)
        page.close()
        page = opened()
        for index in range(3):
            if index == 0:
                page.get_by_role("button", name="Start").click()
            page.get_by_role("button", name="Real").click()
        page.get_by_text(store.settings["code"]).wait_for()
    rows = records.answered(store)
    assert [row.index for row in rows] == [0, 1, 2, 3, 4] and rows[0].external == "P1"
    assert all(row.frames >= 1 and row.shown_ms >= 500 - row.refresh_ms / 2 for row in rows)
    assert all(0 <= row.rt < 60_000 for row in rows) and not faults
    assert "resumed" in {row["kind"] for row in store.all("events")}
