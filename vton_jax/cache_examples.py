"""Examples for networks that learn from what others read: python -m vton_jax.cache_examples --kind=layouts --output=DIR

Draws try-on cases and takes them, with the released networks, as far as the try-on does. `--kind=latents`, for
LatentPriorCNN: the latents of user and pose image, the coarse map, and the true layout; every example comes with its
mirror image. `--kind=layouts`, for ReMapCNN, TripleGuidedCNN and the suite `critic`: layouts and joints as
these will meet them, once with the output image itself as the pose image, once with another person's; an
example takes 0.9 MB. `--kind=people`, for an accelerator that learns faster than files are decoded: the catalogue as it
is drawn, 0.9 MB an example; several processes with another --first each share the work. `--kind=outfits`, for FiNet:
people in outfits of one style, 0.03 MB each. `--kind=coarse`, for LayoutRefinementCNN: coarse maps and what they should
have become, up to twelve of every change of clothes, 0.02 MB a change. `--kind=clips`, for FirstOrder: people
who move, 0.4 MB a clip of eight frames; `--region=face` or `body`. `--kind=shading`, for ShadingCNN: people and how
light falls on them, 0.02 MB an example. Run the same command again to go on where it
stopped. Drawing takes one to three seconds of a core an example. With --split=test nobody in them was ever learnt from.
"""

from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.core.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_enum(
    "kind", None, ("layouts", "latents", "coarse", "people", "outfits", "clips", "shading"), "What is kept."
)
flags.DEFINE_string("output", None, "Folder of the examples: an .npz file for every 32 of `layouts` or `latents`, "
                    "15 changes of `coarse`, 30 of `people`, 60 of `outfits` or `shading`, 20 of `clips`.")  # fmt: skip
flags.DEFINE_integer("count", None, "Examples in all, 4800 by default; of `latents` 8000, mirrored ones not counted, "
                     "of `clips` 480, of `shading` 12000.", lower_bound=1)  # fmt: skip
flags.DEFINE_integer("first", 0, "Number of the first file; files of other numbers show other people.", lower_bound=0)
flags.DEFINE_string(
    "photos",
    None,
    "Of `layouts`: a prepared dataset of photos with labels, or a file of `data/build.py pictures --kind=people`, "
    "not the catalogue's cases.",
)
flags.DEFINE_string("grounds", None, "Of `coarse`, `people`, `outfits` and `clips`: folder of places without people, "
                    "see `data/build.py grounds`.")  # fmt: skip
flags.DEFINE_enum("region", "face", ("face", "body"), "Of `clips`: what they show.")
flags.DEFINE_float("free", 0.0, "Of `outfits`: how often a colour, a pattern or a length follows no rule of its style.",
                   lower_bound=0, upper_bound=1)  # fmt: skip
flags.DEFINE_enum("split", "train", ("train", "validation", "test"), "Whose people and garments; `test` for scoring.")


def main() -> None:
    if not FLAGS.kind or not FLAGS.output:
        raise UserError("Give --kind=layouts, latents, coarse, people, outfits, clips or shading, and --output=DIR, "
                        "the folder of the examples.")  # fmt: skip
    if FLAGS.photos and FLAGS.kind != "layouts":
        raise UserError("--photos gives examples of --kind=layouts alone; leave it.")
    if FLAGS.grounds and FLAGS.kind not in ("coarse", "people", "outfits", "clips"):
        raise UserError("--grounds are for --kind=coarse, people, outfits and clips alone; leave it.")
    if FLAGS.free and FLAGS.kind != "outfits":
        raise UserError("--free is for --kind=outfits alone; leave it.")
    from vton_jax.inputs import clips, drawn_people, lit_people, outfits  # here: --help should not wait for JAX
    from vton_jax.inputs.cached_examples import CASES

    usual = {
        "layouts": 4800,
        "latents": 8000,
        "coarse": 2400,
        "people": 3000,
        "outfits": 12000,
        "clips": 480,
        "shading": 12000,
    }
    count = FLAGS.count or usual[FLAGS.kind]
    numbers = range(FLAGS.first, FLAGS.first + -(-count // CASES[FLAGS.kind]))
    if FLAGS.kind == "people":
        drawn_people.write(FLAGS.output, numbers, FLAGS.split, FLAGS.grounds)
        return
    if FLAGS.kind == "clips":
        clips.write(FLAGS.output, numbers, FLAGS.region, FLAGS.split, FLAGS.grounds)
        return
    if FLAGS.kind == "shading":
        lit_people.write(FLAGS.output, numbers, FLAGS.split)
        return
    if FLAGS.kind == "coarse":
        from vton_jax.systems.lab126 import coarse_examples

        coarse_examples.write(FLAGS.output, numbers, FLAGS.split, FLAGS.grounds)
        return
    if FLAGS.kind == "outfits":
        outfits.write(FLAGS.output, numbers, FLAGS.split, FLAGS.free, FLAGS.grounds)
        return
    from vton_jax.systems.lab126 import cache_examples

    cache_examples.write(FLAGS.kind, FLAGS.output, numbers, FLAGS.split, FLAGS.photos)


if __name__ == "__main__":
    flag_utils.run(main)
