"""What a program costs, read from the program itself: FLOPs of its convolutions and products, bytes of its collectives.

FLOPs are counted in the jaxpr, so they are the model's and no compiler's; bytes are read from the compiled HLO.
"""

import math
import re

import jax
import jax.extend.core


def matmul_flops(function, *arguments) -> int:
    """FLOPs (2 a multiply-add) of all convolutions and matrix products in `function(*arguments)`.

    Zeros that padding adds count, as usual; element-wise work does not. Depthwise convolutions count by their groups.
    """
    return _matmul_flops(jax.make_jaxpr(function)(*arguments).jaxpr)


def _matmul_flops(jaxpr) -> int:
    flops = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            out, kernel = equation.outvars[0].aval, equation.invars[1].aval
            features = kernel.shape[equation.params["dimension_numbers"].rhs_spec[0]]
            flops += 2 * math.prod(out.shape) * math.prod(kernel.shape) // features
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
