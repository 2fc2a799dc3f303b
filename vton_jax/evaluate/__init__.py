"""Evaluation: pictures with their truth, by the names in `SUITES`; scores and reports.

A suite is a file with a class that meets `protocol.Suite`, and a line here. Imports no JAX.
"""

import dataclasses
import importlib

from vton_jax.core.errors import WrongOption
from vton_jax.core.options import option

# Name -> class, or 'module:Class', imported when it is asked for.
SUITES = {
    "catalogue": "vton_jax.evaluate.catalogue_suite:CatalogueSuite",
    "ccp": "vton_jax.evaluate.ccp_suite:CcpSuite",
    "ubc": "vton_jax.evaluate.ubc_suite:UbcSuite",
    "pairs": "vton_jax.evaluate.pairs_suite:PairsSuite",
    "critic": "vton_jax.evaluate.critic_suite:CriticSuite",
    "finet": "vton_jax.evaluate.finet_suite:FinetSuite",
    "realism": "vton_jax.evaluate.realism_suite:RealismSuite",
    "clothflow": "vton_jax.evaluate.clothflow_suite:ClothFlowSuite",
    "strangers": "vton_jax.evaluate.strangers_suite:StrangersSuite",
    "drive": "vton_jax.evaluate.drive_suite:DriveSuite",
}
_BOUNDS = ("lower_bound", "upper_bound")


def suite_class(name: str) -> type:
    """The class of a suite. Raises: WrongOption for an unknown one."""
    found = SUITES.get(name)
    if found is None:
        raise WrongOption("suite", name, f"is unknown; known are {', '.join(SUITES)}.")
    if not isinstance(found, str):
        return found
    module, _, name = found.partition(":")
    return getattr(importlib.import_module(module), name)


def all_options(chosen: str) -> type:
    """A dataclass of every suite's options.

    Of options that several suites have, the default and the bounds of the suite `chosen` count; `help` says what they
    mean in which suite. Raises: WrongOption for an unknown suite.
    """
    found: dict[str, dict[str, dataclasses.Field]] = {}
    for suite in (chosen, *(name for name in SUITES if name != chosen)):
        for field in dataclasses.fields(suite_class(suite).Options):
            found.setdefault(field.name, {})[suite] = field
    made = []
    for name, by_suite in found.items():
        first, texts = next(iter(by_suite.values())), {}
        for suite, field in by_suite.items():
            texts.setdefault(field.metadata.get("help", ""), []).append(suite)
        text = " ".join(f"{', '.join(suites)}: {text}" for text, suites in texts.items())
        if len(texts) == 1 and len(by_suite) == len(SUITES):
            text = first.metadata.get("help", "")
        made.append((name, first.type, option(first.default, text, *map(first.metadata.get, _BOUNDS))))
    return dataclasses.make_dataclass("AllOptions", made, frozen=True)
