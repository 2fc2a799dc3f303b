"""Cloth patterns, faces and backgrounds: colour as a function of place.

Conventions: cloth coordinates `u` (around) and `v` (along) and the torso's own `x`, `y` are in body heights; `grain` is
the length of one pixel there, over which edges are smoothed. Colours are RGB in [0, 1].
"""

import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.mannequin.people import NUM_TEXTS, Identity, Scene

_WORDS = (
    "NOVA", "JAX", "ECHO", "LIMA", "RIVER", "ATLAS", "BLUE", "KITE", "OSLO", "MAPLE", "ZEN", "ROCKET",
    "WAVE", "CUBE", "FOX", "TIGER", "PIXEL", "HELLO", "42", "1987", "DUNE", "LYNX", "ORBIT", "SUN",
)  # fmt: skip
TEXT_SIZE = (32, 96)


@functools.cache
def texts() -> np.ndarray:
    """The lettering of prints: [24, 32, 96] masks in [0, 1], row 0 at the top."""
    assert len(_WORDS) == NUM_TEXTS
    height, width = TEXT_SIZE
    masks = []
    for word in _WORDS:
        canvas = np.zeros((4 * height, 4 * width), np.uint8)
        (w, h), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, 3.0, 12)
        factor = min(3.0 * (4 * width - 24) / w, 3.0 * (4 * height - 28) / h)
        (w, h), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, factor, 14)
        origin = ((4 * width - w) // 2, (4 * height + h) // 2)
        cv2.putText(canvas, word, origin, cv2.FONT_HERSHEY_DUPLEX, factor, 255, 14, cv2.LINE_AA)
        masks.append(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA))
    return np.stack(masks).astype(np.float32) / 255


def _edge(distance: jax.Array, grain: jax.Array) -> jax.Array:
    """1 inside (distance < 0), 0 outside, smooth over a pixel."""
    return jnp.clip(0.5 - distance / jnp.maximum(grain, 1e-6), 0, 1)


def _band(value: jax.Array, period: jax.Array, fraction: float, grain: jax.Array) -> jax.Array:
    """1 on bands that cover `fraction` of each `period`."""
    place = jnp.abs((value / period) % 1.0 - 0.5) * period
    return _edge(place - 0.5 * fraction * period, grain)


def cloth(pattern, colours, scale, text, *, u, v, x, y, front, grain):
    """The cloth's colour [..., 3] at `(u, v)`; the lettering of prints lies on the torso's front at `(x, y)`."""
    stripes = _band(v, scale, 0.5, grain)
    pinstripes = _band(u, 0.7 * scale, 0.25, grain)
    checks = 0.5 * (_band(v, scale, 0.5, grain) + _band(u, scale, 0.5, grain))
    row = jnp.floor(v / scale)
    du = ((u / scale + 0.5 * (row % 2)) % 1.0 - 0.5) * scale
    dv = ((v / scale) % 1.0 - 0.5) * scale
    dots = _edge(jnp.sqrt(du * du + dv * dv) - 0.28 * scale, grain)
    # A print: lettering 0.12 wide on the chest, within a thin frame.
    height, width = TEXT_SIZE
    column = (x + 0.062) / 0.124 * width - 0.5
    line = (0.225 - y) / 0.0413 * height - 0.5
    inside = (column > -0.5) & (column < width - 0.5) & (line > -0.5) & (line < height - 0.5) & front
    column, line = jnp.clip(column, 0, width - 1.001), jnp.clip(line, 0, height - 1.001)
    c0, l0 = column.astype(jnp.int32), line.astype(jnp.int32)
    fc, fl = column - c0, line - l0
    flat = jnp.asarray(texts()).reshape(-1)
    base = (text * height + l0) * width + c0
    at = lambda offset: jnp.take(flat, base + offset, mode="clip")  # noqa: E731
    letters = (at(0) * (1 - fc) + at(1) * fc) * (1 - fl) + (at(width) * (1 - fc) + at(width + 1) * fc) * fl
    rules = _edge(jnp.abs(jnp.abs(y - 0.2045) - 0.03) - 0.0035, grain) * (jnp.abs(x) < 0.062) * front
    print_ = jnp.maximum(jnp.where(inside, letters, 0.0), rules)
    amounts = jnp.stack([jnp.zeros_like(stripes), stripes, pinstripes, checks, dots, print_])
    amount = jnp.einsum("p...,p...->...", amounts, pattern[None] == jnp.arange(6).reshape((6,) + (1,) * u.ndim))
    return colours[..., 0, :] * (1 - amount[..., None]) + colours[..., 1, :] * amount[..., None]


def face(identity: Identity, x, y, z, grain):
    """The head's skin with eyes, brows, mouth and beard; `(x, y, z)` in the head's frame."""
    front = z > 0.01
    colour = jnp.broadcast_to(identity.skin, x.shape + (3,))

    def paint(colour, mask, paint_colour):
        return colour + (mask * front)[..., None] * (paint_colour - colour)

    beard = identity.beard * _edge(y - 0.052 - 4.0 * jnp.square(jnp.abs(x) - 0.0), grain) * 0.75
    colour = paint(colour, beard, identity.hair * 0.9)
    across = jnp.abs(x) - 0.0235
    oval = lambda cx, cy, w, h: jnp.sqrt(jnp.square(cx / w) + jnp.square(cy / h)) - 1  # noqa: E731
    colour = paint(colour, _edge(oval(across, y - 0.086, 0.0115, 0.0065) * 0.008, grain), jnp.array([0.97, 0.97, 0.97]))
    colour = paint(colour, _edge(oval(across, y - 0.086, 0.0058, 0.0062) * 0.006, grain), identity.eyes)
    colour = paint(
        colour, _edge(oval(across, y - 0.102 + 8 * across * across, 0.015, 0.0032) * 0.003, grain), identity.hair * 0.7
    )
    return paint(colour, _edge(oval(x, y - 0.035 - 6 * x * x, 0.019, 0.0062) * 0.006, grain), identity.lips)


def background(scene: Scene, x: jax.Array, y: jax.Array) -> jax.Array:
    """The background's colour [..., 3] at fractions `x`, `y` of the frame, 0..1 (y down)."""
    white = jnp.ones(x.shape + (3,))
    fade = jnp.clip((y - 0.86) / 0.02, 0, 1)[..., None]
    plain = scene.wall * (1.03 - 0.08 * y[..., None]) * (1 - fade) + scene.floor * fade

    def put(busy, thing):
        cx, cy, w, h, r, g, b, kind = thing
        box = jnp.maximum(jnp.abs(x - cx) - w, (jnp.abs(y - cy) - h) * 1.33)
        disc = jnp.sqrt(jnp.square(x - cx) + jnp.square((y - cy) * 1.33)) - w
        mask = _edge(jnp.where(kind > 0.6, disc, box), 0.006)[..., None]
        colour = jnp.stack([r, g, b]) * (0.85 + 0.15 * jnp.sin((x + y * kind) * 60)[..., None])
        return busy * (1 - mask) + colour * mask, None

    busy, _ = jax.lax.scan(put, plain, scene.clutter)  # in a loop, six things compile as fast as one
    kind = scene.background
    return jnp.clip(jnp.where(kind == 0, white, jnp.where(kind == 1, plain, busy)), 0, 1)
