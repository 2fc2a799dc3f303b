"""Writes the networks of a try-on for other programs: python -m vton_jax.export --output=DIR [--format=onnx]

DIR gets a file for each network of the default arm: reader_cnn.onnx (what a picture shows), multi_path_cnn_encoder.onnx
and multi_path_cnn_decoder.onnx (person to latent, latent to layout), latent_prior_cnn.onnx (the latent to expect),
layout_refinement_cnn.onnx (the target's labels), re_map_cnn.onnx (the flow that moves the garment),
triple_guided_cnn.onnx (the picture) and shading_cnn.onnx (how light falls). networks.json and README.md beside them
name inputs, outputs, labels and joints. Each is compared with the network in JAX, by ONNX Runtime; the largest
difference is printed, and where one is above 0.001 nothing is written. Geometry, alignment and compositing are not in
the files: docs/export.md. Wants the extra `onnx`: pip install 'vton-jax[onnx]'.
"""

from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.core.errors import UserError
from vton_jax.systems.options import ReaderOptions

FLAGS = flags.FLAGS
flag_utils.define_settings(ReaderOptions)
flags.DEFINE_enum("format", "onnx", ["onnx"], "What the files are.")
flags.DEFINE_string("output", None, "The folder to write.")
flags.DEFINE_boolean(
    "time", False, "Also says how much processor time a pass of one example takes, with ONNX Runtime and with JAX."
)


def main() -> None:
    if not FLAGS.output:
        raise UserError("Give --output=DIR, the folder to write.")
    from vton_jax.systems.lab126 import onnx_files  # here: --help should not wait for JAX

    for card in onnx_files.export(FLAGS.output, FLAGS.weights, timed=FLAGS.time):
        print(onnx_files.line(card), flush=True)
    print(f"wrote {FLAGS.output}")


if __name__ == "__main__":
    flag_utils.run(main)
