"""The networks of a try-on as ONNX files, each compared with ours before it is written, and a card that describes them.

The card is `networks.json`, and `README.md` for people. Conventions: as in `networks`; the first axis of every input
and output, `batch`, is free.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import jax
import jax.export
import jax.extend
import numpy as np

from vton_jax.core import files, keypoints, programs, segmentation
from vton_jax.core.errors import UserError
from vton_jax.models import reader_cnn
from vton_jax.systems.lab126 import networks
from vton_jax.systems.lab126.networks import Network

MOST_DIFFERENCE = 1e-3  # between an output of ours and of the file, anywhere
_EXAMPLES = 2  # that both are given
_TURNS = 7  # of which the quickest counts
_WORDS = {
    "labels": segmentation.LABELS,
    "joints": keypoints.JOINTS,
    "kinds": reader_cnn.KINDS,
    "garment_types": reader_cnn.TYPES,
    "sleeves": reader_cnn.SLEEVES,
}


def export(
    output: str | Path,
    folder: str | Path | None = None,
    names: tuple[str, ...] = networks.NAMES,
    *,
    timed: bool = False,
) -> Iterator[dict]:
    """Writes the files and the card; yields what the card says of a network when it was found to be right.

    Nothing is written before all of them are.

    Args: folder: where the weights lie, by default the released ones. names: of `networks.NAMES`. timed: also says
    the processor time of a pass, here and with ONNX Runtime.
    Raises: UserError where a package is missing, a file cannot be written, or a network would differ.
    """
    _require_packages()
    output = Path(output)
    files.require_writable(output / "networks.json")
    made, cards = {}, []
    for network in networks.load(names, folder):
        data = to_onnx(network)
        made[f"{network.name}.onnx"] = data
        cards.append(_card_of(network, data, timed))
        yield cards[-1]
    for name, data in made.items():
        files.write_bytes(output / name, data)
    card = {"made_with": _made_with(), **_WORDS, "networks": cards}
    files.write_text(output / "networks.json", json.dumps(card, indent=1) + "\n")
    files.write_text(output / "README.md", _for_people(card))


def _require_packages() -> None:
    try:
        import jax2onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(f"ONNX files need jax2onnx and ONNX Runtime ({error}): pip install 'vton-jax[onnx]'.") from None


def to_onnx(network: Network) -> bytes:
    """The network as an ONNX file."""
    import jax2onnx

    logging.getLogger("onnx_ir").setLevel(logging.ERROR)  # says of each constant that its shape has no type
    (count,) = jax.export.symbolic_shape("batch")
    given = [jax.ShapeDtypeStruct((count, *one.shape), np.float32) for one in network.inputs]
    # Traced here: jax2onnx would put its own layers in the place of Flax's, which know nothing of the functions that
    # ours convolve with (`layers.doubled`). Of what is traced only operations are left.
    traced = jax.make_jaxpr(network.function)(*given)
    model = jax2onnx.to_onnx(
        jax.extend.core.jaxpr_as_fun(traced),
        given,
        model_name=network.name,
        input_names=[one.name for one in network.inputs],
        output_names=sorted(network.outputs),  # as JAX flattens a dict
        return_mode="proto",
    )
    for name, words in {key: ",".join(of) for key, of in _WORDS.items()}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, words
    return model.SerializeToString()


def session_of(data: bytes):
    """An ONNX file as ONNX Runtime runs it on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that wait would be timed as well
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run(session, inputs: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs by their names, for inputs in the file's order."""
    names = [one.name for one in session.get_inputs()]
    outputs = [one.name for one in session.get_outputs()]
    return dict(zip(outputs, session.run(outputs, dict(zip(names, inputs, strict=True))), strict=True))


def differences(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> dict[str, float]:
    """The largest absolute difference of each output; infinite where shapes differ or something is not a number."""
    found = {}
    for name, expected in ours.items():
        given = theirs[name]
        alike = given.shape == expected.shape and np.isfinite(given).all()
        found[name] = float(np.abs(given - expected).max()) if alike else float("inf")
    return found


def _card_of(network: Network, data: bytes, timed: bool) -> dict:
    """What the card says of a network that is right. Raises: UserError for one that differs."""
    ours = jax.jit(network.function, compiler_options=programs.compiler_options())
    session, inputs = session_of(data), network.draw(_EXAMPLES)
    expected = jax.tree.map(np.asarray, ours(*inputs))
    first = [one[:1] for one in inputs]
    both = [
        differences(expected, run(session, inputs)),
        differences({name: value[:1] for name, value in expected.items()}, run(session, first)),
    ]
    found = {name: max(one[name] for one in both) for name in expected}
    worst = max(found, key=found.get)
    if not found[worst] <= MOST_DIFFERENCE:
        raise UserError(
            f"{network.name}.onnx would differ by {found[worst]:.2g} from our network in '{worst}', where "
            f"{MOST_DIFFERENCE:g} is the most; nothing was written, and other versions of jax2onnx may do better."
        )
    card = {
        "name": network.name,
        "file": f"{network.name}.onnx",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "weights": network.weights.name,
        "weights_sha256": hashlib.sha256(network.weights.read_bytes()).hexdigest(),
        "inputs": [_described(one.name, one.shape, one.means) for one in network.inputs],
        "outputs": [_described(name, expected[name].shape[1:], means) for name, means in network.outputs.items()],
        "largest_difference": found,
    }
    if timed:
        card["milliseconds"] = {
            "onnxruntime": _milliseconds(lambda: run(session, first)),
            "jax": _milliseconds(lambda: jax.block_until_ready(ours(*first))),
        }
    return card


def _described(name: str, shape: tuple[int, ...], means: str) -> dict:
    return {"name": name, "shape": ["batch", *shape], "dtype": "float32", "means": means}


def _milliseconds(call: Callable) -> float:
    """Processor time of a pass of one example, the best of some turns, after one for warming up."""
    call()
    seconds = []
    for _ in range(_TURNS):
        begun = time.process_time()
        call()
        seconds.append(time.process_time() - begun)
    return round(1000 * min(seconds), 1)


def _made_with() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("vton-jax", "jax", "jax2onnx", "onnxruntime")}


def line(card: dict) -> str:
    """What the command says of a network."""
    largest = max(card["largest_difference"].values())
    text = f"{card['file']:<28}{card['bytes'] / 1e6:5.1f} MB  differs by {largest:.1e} at most"
    if "milliseconds" in card:
        text += "  {onnxruntime:.1f} ms of processor time with ONNX Runtime, {jax:.1f} with JAX".format(
            **card["milliseconds"]
        )
    return text


def _for_people(card: dict) -> str:
    """The card in Markdown."""
    lines = ["# Networks of vton_jax as ONNX files", ""]
    lines.append("Made with " + ", ".join(f"{name} {version}" for name, version in card["made_with"].items()) + ".")
    lines.append("All arrays are float32; the first axis, `batch`, is free. `networks.json` says the same to programs.")
    for name in _WORDS:
        lines += ["", f"**{name}**: " + ", ".join(f"{index} {word}" for index, word in enumerate(card[name]))]
    for one in card["networks"]:
        largest = max(one["largest_difference"].values())
        lines += ["", f"## {one['name']}", "", f"`{one['file']}`, {one['bytes']:,} bytes, from `{one['weights']}`; "]
        lines[-1] += f"differs from the network in JAX by {largest:.1e} at most. SHA-256 `{one['sha256']}`"
        lines += ["", "| | shape | |", "|---|---|---|"]
        for kind in ("inputs", "outputs"):
            for array in one[kind]:
                shape = ", ".join(map(str, array["shape"]))
                lines.append(f"| {kind[:-1]} `{array['name']}` | {shape} | {array['means']} |")
    return "\n".join(lines) + "\n"
