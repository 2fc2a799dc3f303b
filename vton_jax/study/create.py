"""Makes a study from folders of pictures: all brought to one size and encoded alike, so that nothing but what they show
tells them apart."""

import io
import secrets
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from vton_jax.core import framing
from vton_jax.core.errors import UserError, WrongOption
from vton_jax.media import photo_files
from vton_jax.study.design import ANSWERS, Design
from vton_jax.study.options import CreateOptions
from vton_jax.study.store import Store

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
CONSENT = (
    "You will be shown pictures of people for a moment each, and asked about them. It takes about ten minutes. Your "
    "answers, their times and the refresh rate of your screen are recorded, without your name. You may stop at any "
    "time by closing the page, and come back to it on the same device, or on another with your participant code."
)
QUESTIONS = {"real": "Was the picture real, or generated?", "better": "Which of the two looked better?"}


def create(options: CreateOptions, output: Path) -> Store:
    """Writes the study `output`. Raises: UserError."""
    real = [] if options.real is None else _listed(options.real, "real")
    if options.question == "real" and not real:
        raise UserError("Give --real=DIR, a folder of real pictures.")
    arms = dict(_arm(text) for text in options.arms)
    if not arms:
        raise UserError("Give --arms=NAME:DIR,NAME:DIR, folders of generated pictures.")
    files = {name: {path.stem: path for path in _listed(folder, "arms")} for name, folder in arms.items()}
    cases = sorted(set.intersection(*(set(found) for found in files.values())))
    if not cases:
        raise WrongOption("arms", ",".join(options.arms), "have no picture of one name in common.")
    pictures = [("real", path.stem, "real", _png(path, options.size)) for path in real]
    for name, found in files.items():
        pictures += [(name, case, "generated", _png(found[case], options.size)) for case in cases]
    for answer in ANSWERS[options.question] if options.checks else ():
        pictures.append(("check", answer, "check", _check(answer, options.size)))
    settings = _settings(options, tuple(arms))
    store = Store.create(output, settings, pictures)
    try:
        design_of(store)  # what cannot be asked is found now
    except UserError:
        output.unlink()
        raise
    return store


def _settings(options: CreateOptions, arms: tuple[str, ...]) -> dict:
    consent = CONSENT
    if options.consent is not None:
        try:
            consent = Path(options.consent).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise WrongOption("consent", options.consent, f"cannot be read: {error}.") from None
    if any(exposure <= 0 for exposure in options.exposures) or not options.exposures:
        raise WrongOption("exposures", options.exposures, "should be seconds above 0.")
    return {
        "question": options.question, "exposures": list(options.exposures), "arms": list(arms),
        "trials": options.trials, "practice": options.practice, "checks": options.checks, "repeats": options.repeats,
        "size": list(options.size), "seed": options.seed, "title": options.title, "consent": consent,
        "asks": QUESTIONS[options.question], "code": options.completion_code or secrets.token_hex(4).upper(),
    }  # fmt: skip


def design_of(store: Store) -> Design:
    """What trials are drawn from. Raises: UserError."""
    settings, real, checks = store.settings, [], {}
    cases: dict[str, dict[str, int]] = {}
    for row in store.pictures():
        if row["kind"] == "real":
            real.append(row["id"])
        elif row["kind"] == "check":
            checks[row["name"]] = row["id"]
        else:
            cases.setdefault(row["name"], {})[row["arm"]] = row["id"]
    return Design(
        settings["question"], tuple(settings["exposures"]), tuple(settings["arms"]), tuple(real), tuple(cases.values()),
        checks, settings["trials"], settings["practice"], settings["checks"], settings["repeats"], settings["seed"],
    )  # fmt: skip


def _arm(text: str) -> tuple[str, str]:
    name, colon, folder = text.partition(":")
    if not colon or not name or name in ("real", "check"):
        raise WrongOption("arms", text, "should be NAME:DIR, with a name other than real and check.")
    return name, folder


def _listed(folder: str, flag: str) -> list[Path]:
    at = Path(folder)
    if not at.is_dir():
        raise WrongOption(flag, folder, "is no folder.")
    found = sorted(path for path in at.iterdir() if path.suffix.lower() in _PICTURES)
    if not found:
        raise WrongOption(flag, folder, "holds no pictures (PNG, JPEG, WebP).")
    return found


def _png(path: Path, size: tuple[int, int]) -> bytes:
    return encoded(framing.fit(photo_files.read_photo(path), size)[0])


def encoded(picture: np.ndarray, compression: int = 6) -> bytes:
    """A picture [H, W, 3] of uint8 as PNG without metadata, compressed as zlib's levels say."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", compress_level=compression)
    return file.getvalue()


def _check(answer: str, size: tuple[int, int]) -> bytes:
    """A picture that says what to answer."""
    picture, font = np.full((*size, 3), 235, np.uint8), cv2.FONT_HERSHEY_SIMPLEX
    for line, text in enumerate(("Please answer", answer.upper())):
        scale = 0.8 * size[1] / cv2.getTextSize("Please answer", font, 1, 1)[0][0]
        width, height = cv2.getTextSize(text, font, scale, 2)[0]
        at = ((size[1] - width) // 2, size[0] // 2 + line * 2 * height)
        cv2.putText(picture, text, at, font, scale, (20, 20, 20), 2, cv2.LINE_AA)
    return encoded(picture)
