"""What a program costs, read from the program itself: FLOPs of its convolutions and products, bytes of its collectives.

    python benchmarks/program_costs.py --path [--json] [--arm=post]

prints what a painted frame of a try-on clip costs at the released networks' size, in GMAC, thousand million
multiplications, stage by stage: the programs of lab126, traced with shapes and not run. `a_frame_of_30` is what that
makes for each frame of a clip of 30 a second, of which by default every third is painted.

FLOPs are counted in the jaxpr, so they are the model's and no compiler's; bytes are read from the compiled HLO.
"""

import argparse
import json
import math
import re
import sys
from pathlib import Path

import jax
import jax.extend.core
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def matmul_flops(function, *arguments) -> int:
    """FLOPs (2 a multiply-add) of all convolutions and matrix products in `function(*arguments)`.

    Zeros that padding adds count, as usual; element-wise work does not. Depthwise convolutions count by their groups,
    the gradients of strided ones without the zeros between their inputs.
    """
    return _matmul_flops(jax.make_jaxpr(function)(*arguments).jaxpr)


def _matmul_flops(jaxpr) -> int:
    flops = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            out, kernel = equation.outvars[0].aval, equation.invars[1].aval
            features = kernel.shape[equation.params["dimension_numbers"].rhs_spec[0]]
            spread = features * math.prod(equation.params["lhs_dilation"])
            flops += 2 * math.prod(out.shape) * math.prod(kernel.shape) // spread
        elif equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left, out = equation.invars[0].aval, equation.outvars[0].aval
            flops += 2 * math.prod(out.shape) * math.prod(left.shape[axis] for axis in contracted)
        else:
            inner = sum(_matmul_flops(sub) for sub in jax.extend.core.jaxprs_in_params(equation.params))
            flops += inner * equation.params["length"] if equation.primitive.name == "scan" else inner
    return flops


_COLLECTIVE = re.compile(
    r"= (?P<shape>[^=]+?) (?P<name>all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
)
_ARRAY = re.compile(r"([a-z]+\d+|pred)\[([\d,]*)\]")
_GROUPS = re.compile(r"replica_groups=(?:\{\{(?P<first>[\d,]*)\}|\[\d+,(?P<size>\d+)\])")
_BITS = {"pred": 8}


def _bytes(shape: str) -> list[int]:
    """Bytes of the arrays that an HLO shape names; `(f32[2,3], bf16[4])` gives [24, 8]."""
    return [
        math.prod(map(int, sides.split(",") if sides else ())) * (_BITS.get(kind) or int(re.sub(r"\D", "", kind))) // 8
        for kind, sides in _ARRAY.findall(shape)
    ]


def collectives(hlo: str, devices: int) -> dict[str, dict[str, float]]:
    """{operation: {"times", "megabytes", "sent_megabytes"}} of a partitioned program, a device.

    `megabytes` is the size of the whole array (all-gather: the result; reduce-scatter: the operand). `sent_megabytes`
    is what a device sends in a ring of n: 2 (n - 1) / n of an all-reduce, (n - 1) / n of the others.
    """
    found = {}
    for line in re.sub(r"/\*.*?\*/", "", hlo).splitlines():
        if not (match := _COLLECTIVE.search(line)):
            continue
        name, sizes = match["name"], _bytes(match["shape"])
        groups = _GROUPS.search(line)
        group = devices
        if groups and (groups["size"] or groups["first"]):
            group = int(groups["size"] or len(groups["first"].split(",")))
        # The shape of a started all-gather or permute names operand and result; the result is the larger one.
        whole = max(sizes) if "-start(" in line and name in ("all-gather", "collective-permute") else sum(sizes)
        whole *= group if name == "reduce-scatter" else 1
        entry = found.setdefault(name, {"times": 0, "megabytes": 0.0, "sent_megabytes": 0.0})
        entry["times"] += 1
        entry["megabytes"] += whole / 1e6
        entry["sent_megabytes"] += whole / 1e6 * (2 if name == "all-reduce" else 1) * (group - 1) / group
    return found


# ------------------------------------------------------------------------------------------------- a frame of a try-on


def frame_costs(arm: str = "post") -> dict[str, float]:
    """GMAC of a clip's frame after the first, by stage; `flow_kept` is the flow of the garment that the user keeps on.

    Args: arm: of lab126.
    """
    from vton_jax.core.types import Garment, Layout
    from vton_jax.layout import limbs
    from vton_jax.reading import picture_reader
    from vton_jax.systems import relighting
    from vton_jax.systems.lab126 import painter as painting
    from vton_jax.systems.lab126 import target_layouts
    from vton_jax.systems.lab126.system import Lab126

    system = Lab126(arm)
    pictures, layouts, painter, size = system.reader.pictures, system.layouts, system.painter, system.size
    frame, picture = np.zeros((1, *size, 3), np.uint8), np.zeros((1, *size, 3), np.float32)
    layout = Layout(np.zeros((1, *size), np.uint8), np.zeros((1, 18, 2), np.float32), np.ones((1, 18), bool))
    garment = Garment(picture, layout, np.zeros(1, np.int32), np.zeros(1, bool))
    network, params = layouts._refinement
    given = target_layouts.given_of(layout, garment, layout), limbs.all_bodies(layout, size)
    count = lambda function, *arguments: matmul_flops(function, *arguments) / 2e9  # noqa: E731
    # Networks are static arguments of these programs: only the rest may be traced.
    found = {
        "reading": count(lambda a: picture_reader._look(pictures._network, pictures._params, a), frame),
        "layout_refined": count(lambda *a: target_layouts._refine(network, params, *a), layout.segmentation, *given),
    }
    re_map = None
    if painter.arm.placed:
        network, params = painter._re_map
        re_mapped = lambda g, t: painting._re_mapped(network, params, g, t)  # noqa: E731
        found["flow"] = found["flow_kept"] = count(re_mapped, garment, layout)
        re_map = jax.eval_shape(re_mapped, garment, layout)
    user = picture, layout.segmentation
    dress = lambda u, g, r: painting._dress((painter.name, painter.triple_guided), painter._triple, u, g, r)  # noqa: E731
    found["painting"] = count(dress, user, (garment, layout), re_map)
    shade = lambda a: relighting._shading(*painter.relighting._network, a)  # noqa: E731
    return found | {"shading": count(shade, layout)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", action="store_true", required=True, help="what a frame of a try-on costs")
    parser.add_argument("--arm", default="post", help="of lab126")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    from vton_jax.systems import pictures
    from vton_jax.systems.options import JobOptions

    found = frame_costs(options.arm)
    found["total"] = sum(found.values())
    found["a_frame_of_30"] = found["total"] / pictures.every_nth(30, JobOptions().painted_rate)
    found = {name: round(value, 3) for name, value in found.items()}
    if options.json:
        print(json.dumps({"unit": "GMAC", "arm": options.arm, "stages": found}))
    else:
        print("\n".join(f"{name:16} {value:7.3f} GMAC" for name, value in found.items()))


if __name__ == "__main__":
    main()
