"""A user study of results: real or generated, after a look of an exact time; or which of two is better.

  python -m vton_jax.study create --real=DIR --arms=none:DIR,post:DIR,pre:DIR,joint:DIR --output=study.db
  python -m vton_jax.study serve --study=study.db [--port=7870]
  python -m vton_jax.study report --study=study.db --output=DIR

Folders hold pictures; those of one name in all arms are one case. Participants open the page (with ?PROLIFIC_PID=... or
?workerId=... if they come from there) and may go on later where they stopped; a study that is being served may be
reported. The extra `study` holds what it needs: pip install 'vton-jax[study]'.
"""

import sys
from pathlib import Path

from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.core.errors import UserError
from vton_jax.study.options import CreateOptions, ReportOptions, ServeOptions

FLAGS = flags.FLAGS
for _settings in (CreateOptions, ServeOptions, ReportOptions):
    flag_utils.define_settings(_settings)
flags.DEFINE_string("study", None, "serve, report: the study's file.")
flags.DEFINE_string("output", None, "create: the study's file to write; report: folder for the report.")

ACTIONS = ("create", "serve", "report")
_asked: list[str] = []


def define_more_flags(arguments: list[str]) -> None:
    """Takes the action, the one word that is no flag, off the arguments."""
    _asked[:] = [word for word in arguments[:1] if not word.startswith("-")]
    del arguments[: len(_asked)]


def _need(name: str) -> Path:
    if not FLAGS[name].value:
        raise UserError(f"Give --{name}=PATH; python -m vton_jax.study --help explains the flags.")
    return Path(FLAGS[name].value)


def _serve() -> None:
    try:
        import uvicorn

        from vton_jax.study import server
    except ImportError as error:
        raise UserError(f"The study needs {error.name}: pip install 'vton-jax[study]'.") from None
    from vton_jax.study.store import Store

    options = flag_utils.build_settings(ServeOptions)
    app = server.make_app(Store(_need("study")))
    print(f"the study is open at http://{options.host}:{options.port}/; Ctrl-C closes it", file=sys.stderr, flush=True)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", server_header=False)


def main() -> None:
    action = _asked[0] if _asked else ""
    if action not in ACTIONS:
        said = f"There is no action {action!r}" if action else "Say what to do"
        raise UserError(f"{said}: python -m vton_jax.study {'|'.join(ACTIONS)}; --help explains the flags.")
    if action == "serve":
        return _serve()
    if action == "create":
        from vton_jax.study.create import create

        output = _need("output")
        store = create(flag_utils.build_settings(CreateOptions), output)
        print(f"wrote {output}: {len(store.pictures())} pictures; completion code {store.settings['code']}")
        return None
    from vton_jax.study import report
    from vton_jax.study.store import Store

    print(report.write(Store(_need("study")), _need("output"), flag_utils.build_settings(ReportOptions)))
    return None


if __name__ == "__main__":
    flag_utils.run(main, define_more_flags)
