"""Uploads of the studio, decoded in this process: `tests/studio/test_uploads.py` has what the child is for."""

import json
import subprocess
import types

import cv2

from vton_jax.core.errors import UserError
from vton_jax.studio import decoder, uploads


def _run(command, *, input, **_):
    threads = cv2.getNumThreads()
    try:
        answer = {"file": decoder.decode(json.loads(input)).name}
    except UserError as error:
        answer = {"error": " ".join(str(error).split())}
    finally:
        cv2.setNumThreads(threads)
    return types.SimpleNamespace(stdout=json.dumps(answer), stderr="", returncode=0)


def patch(monkeypatch) -> None:
    found = types.SimpleNamespace(run=_run, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(uploads, "subprocess", found)
