"""The server of the studio: API and page in one FastAPI application, behind the guard."""

import contextlib
import ipaddress
import os
import socket
import sys

from vton_jax.core.errors import UserError, WrongOption
from vton_jax.studio.options import StudioOptions
from vton_jax.studio.service import Service

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_ABOUT = (
    "A job is put in with POST, is asked about under /api/jobs/ID, and its files are fetched there when it is done. "
    "What cannot be done is answered as {'detail': one sentence}."
)


def make_app(service: Service, *, with_page: bool = True):
    """The ASGI application of a service. Args: with_page: the page as well as the API; it needs Gradio."""
    import fastapi

    from vton_jax.studio import api, api_live
    from vton_jax.studio.guard import Guard

    @contextlib.asynccontextmanager
    async def lifespan(_):
        yield
        service.close()

    app = fastapi.FastAPI(
        title="Try-on studio", description=_ABOUT, version="1", docs_url=None, redoc_url=None, lifespan=lifespan
    )
    api.add_to(app, service)
    api_live.add_to(app, service)
    if with_page:
        app = _with_page(app, service)
    options, password = service.options, _password(service.options)
    most = 4 * options.max_megabytes * 1_000_000 + 100_000  # a request brings four files at most
    return Guard(app, password, most, _LOOPBACK if _is_loopback(options.host) else None)


def _with_page(app, service: Service):
    os.environ["GRADIO_TEMP_DIR"] = str(service.uploaded)  # before Gradio is imported, which reads it
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr

    from vton_jax.studio import gallery, page, widgets

    return gr.mount_gradio_app(
        app, page.build(service), path="/", server_name=service.options.host, server_port=service.options.port,
        allowed_paths=[str(service.jobs.folder), str(gallery.PERSON.parent), str(gallery.FLATS)],
        max_file_size=service.options.max_megabytes * 1_000_000, footer_links=[], ssr_mode=False, show_error=False,
        theme=widgets.THEME, css=widgets.STYLE, head=widgets.HEAD, pwa=False, enable_monitoring=False,
    )  # fmt: skip


def _password(options: StudioOptions) -> str | None:
    return options.password or os.environ.get("VTON_STUDIO_PASSWORD") or None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(options: StudioOptions) -> None:
    """Serves until it is interrupted. Raises: UserError where the extra is missing or the port is taken."""
    try:
        import fastapi  # noqa: F401
        import gradio  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise UserError(f"The studio needs {error.name}: pip install 'vton-jax[studio]'.") from None
    with socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            raise WrongOption("port", options.port, f"cannot be listened on: {error.strerror}.") from None
    if not _is_loopback(options.host) and _password(options) is None:
        print("whoever reaches this machine may use the studio; set VTON_STUDIO_PASSWORD", file=sys.stderr)
    from vton_jax.studio import live

    app = make_app(Service(options))
    at = f"http://{options.host}:{options.port}"
    print(f"the studio is open at {at}/, its API at {at}/api/docs; Ctrl-C closes it", file=sys.stderr, flush=True)
    uvicorn.run(
        app, host=options.host, port=options.port, log_level="warning", timeout_graceful_shutdown=3,
        ws_max_size=2 * live.MAX_BYTES, ws_per_message_deflate=False,
    )  # fmt: skip
