"""FiNet and what the talk compares it with, each a few settings of the same networks at the same size. Imports no JAX.

The adversarial losses of pix2pix and BicycleGAN are left out: what is compared is where diversity comes from.
"""

import dataclasses
from typing import Literal

from vton_jax.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Variant:
    """How a variant fills a region."""

    two_stages: bool = True  # a layout first, then the picture
    # What the prior knows: the contextual garments, the person's pose and layout, or nothing: N(0, I).
    prior: Literal["garments", "person", "normal"] = "garments"
    encoder: bool = True  # else z is noise that nothing is learned about
    appearance_latent: bool = True  # else the picture follows from the layout alone
    latent_regression: bool = False  # z is read back from what was painted with it

    @property
    def stages(self) -> tuple[str, ...]:
        return ("shape", "appearance") if self.two_stages else ("appearance",)


VARIANTS = {
    "full": Variant(),
    "one_stage": Variant(two_stages=False),
    "one_stage_no_compatibility": Variant(two_stages=False, prior="normal"),
    # P. Isola and others, CVPR 2017, with noise; J.-Y. Zhu and others, NeurIPS 2017; P. Esser and others, CVPR 2018;
    # C. Lassner and others, ICCV 2017.
    "pix2pix_noise": Variant(two_stages=False, prior="normal", encoder=False),
    "bicycle_gan": Variant(two_stages=False, prior="normal", latent_regression=True),
    "vunet": Variant(two_stages=False, prior="person"),
    "cloth_net": Variant(prior="normal", appearance_latent=False),
}


def variant_of(name: str) -> Variant:
    """The variant of a name. Raises: UserError for an unknown one."""
    if name not in VARIANTS:
        raise UserError(f"The variant {name} is unknown; known are {', '.join(VARIANTS)}.")
    return VARIANTS[name]


def weights_name(stage: str, variant: str) -> str:
    """The name of a stage's weights: `finet_shape`, `finet_appearance_vunet`."""
    return f"finet_{stage}" + ("" if variant == "full" else f"_{variant}")
