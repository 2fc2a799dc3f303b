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
    r"= (?P<shape>.+?) (?P<name>all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
    r".*?replica_groups=(?P<groups>\{\{[^}]*\}|\[\d+,\d+\])"
)
