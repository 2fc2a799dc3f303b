"""Pages in a real browser: tests of them run where a Chromium is on the path and Playwright is installed."""

import contextlib
import shutil
import socket
import threading
import time

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def require(*packages):
    """Playwright's API. Skips the module where there is no browser, or a package is missing."""
    if BROWSER is None:
        pytest.skip("no Chromium is on the path", allow_module_level=True)
    for package in ("uvicorn", *packages):
        pytest.importorskip(package, reason=f"{package} is not installed")
    return pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")


@contextlib.contextmanager
def served(app):
    """An ASGI application on a free port of this machine; gives its address."""
    import uvicorn

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=10)


@contextlib.contextmanager
def browser(playwright):
    """Chromium, without a window, with a camera that films a moving disc."""
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", *camera])
        yield opened
        opened.close()


def watched(page, faults):
    """The page, whose errors, and requests to other machines, are added to a list."""
    page.set_default_timeout(120_000)
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    outside = lambda url: url.startswith("http") and not url.startswith("http://127.0.0.1:")  # noqa: E731
    page.on("request", lambda asked: faults.append(asked.url) if outside(asked.url) else None)
    return page


def barriers(page):
    """(rule, elements) of what keeps people out: what axe-core calls serious or critical. Skips where it is missing."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    broken = axe.Axe().run(page).response["violations"]
    return [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in broken
        if one["impact"] in ("serious", "critical")
    ]
