"""ClothFlow and the ablation of the paper's Table 1, described once: training, system and suite are built from here.

A stage that a variant does not change is the whole system's, with its weights.
"""

import dataclasses
from pathlib import Path
from typing import Literal

from vton_jax.models import weights

STAGES = ("layout", "flow", "render")


@dataclasses.dataclass(frozen=True)
class Variant:
    """What is left out, or put in its place."""

    layout: bool = True  # whether stage 1 hallucinates a segmentation, which guides the others
    flow: Literal["cascade", "once", "spline", "none"] = "cascade"  # what moves the clothing
    style: bool = True  # whether the style loss counts in stage 3
    dense: bool = False  # whether poses are the body's surface, too

    @property
    def has_network(self) -> bool:
        """Whether stage 2 is a network."""
        return self.flow in ("cascade", "once")


VARIANTS = {
    "full": Variant(),
    "no_layout": Variant(layout=False),
    "no_flow": Variant(flow="none"),
    "tps": Variant(flow="spline"),
    "no_cascade": Variant(flow="once"),
    "no_style": Variant(style=False),
    "dense": Variant(dense=True),
}


def weights_name(stage: str, name: str) -> str | None:
    """The weights of a stage of the variant `name`; None where it has no such stage."""
    variant, whole = VARIANTS[name], VARIANTS["full"]
    if (stage == "layout" and not variant.layout) or (stage == "flow" and not variant.has_network):
        return None
    reads = {"layout": ("layout", "dense"), "flow": ("layout", "flow", "dense")}.get(stage)
    same = variant == whole if reads is None else all(getattr(variant, n) == getattr(whole, n) for n in reads)
    return f"clothflow_{stage}" if same else f"clothflow_{stage}_{name}"


def find(name: str, folder: str | Path | None = None) -> Path:
    """The file of weights of that name: in `folder` where it is there, else the released one."""
    path = weights.path_of(name, folder)
    return path if path.is_file() else weights.released(name)


def render_weights(name: str, folder: str | Path | None = None) -> Path:
    """The weights of stage 3: the variant's own or, where nobody has trained any, those of the whole system.

    A variant whose stage 3 has other inputs needs its own.
    """
    own = find(weights_name("render", name), folder)
    other_inputs = VARIANTS[name].dense or not VARIANTS[name].layout
    return own if own.is_file() or other_inputs else find("clothflow_render", folder)


def is_trained(name: str, folder: str | Path | None = None) -> bool:
    """Whether all weights are there that the variant `name` needs."""
    names = [weights_name(stage, name) for stage in STAGES[:2]]
    return all(path.is_file() for path in [*(find(one, folder) for one in names if one), render_weights(name, folder)])
