"""What a user can ask of the studio: one description for flags and Python. Imports no JAX."""

import dataclasses

from vton_jax.core.options import option


@dataclasses.dataclass(frozen=True)
class Limits:
    """What may be uploaded, and how much a file may cost to decode."""

    max_megabytes: int = option(30, "Size of an upload at most, in megabytes.", lower_bound=1)
    max_megapixels: int = option(50, "Pixels of a picture, or of a clip's frame, at most, in millions.", lower_bound=1)
    max_seconds: int = option(60, "Duration of a clip at most.", lower_bound=1)
    decode_seconds: int = option(20, "Time that decoding a file may take.", lower_bound=1)
    decode_megabytes: int = option(2048, "Memory that decoding a file may take.", lower_bound=256)


@dataclasses.dataclass(frozen=True)
class StudioOptions(Limits):
    """Everything that the studio depends on."""

    host: str = option("127.0.0.1", "Address to listen on; 0.0.0.0 lets others in: then set a password.")
    port: int = option(7860, "Port to listen on.", lower_bound=1, upper_bound=65535)
    password: str | None = option(
        None, "Password that pages and API ask for, with any user name. Default: VTON_STUDIO_PASSWORD, else none."
    )
    folder: str | None = option(None, "Folder for what people bring and get. Default: a temporary one.")
    keep_minutes: int = option(60, "How long results are kept.", lower_bound=1)
    max_frames: int = option(48, "Frames of a clip at most.", lower_bound=1)
    max_driving_frames: int = option(300, "Frames at most of a clip that drives a picture.", lower_bound=1)
    live_seconds: int = option(180, "How long somebody may be live; others wait meanwhile.", lower_bound=1)
    max_waiting: int = option(50, "Jobs that may wait at most.", lower_bound=1)
    warm: bool = option(True, "Dress the example at the start, so that the first job finds programs ready.")
    weights: str | None = option(None, "Folder of other weights than the released ones.")
