"""Makes the packaged sample again: python -m vton_jax.mannequin.packaged [--output=vton_jax/samples]

A photo, a garment laid flat and a pose clip of a second person who walks and turns. All three are drawn from the `test`
split's keys, which no training reads.
"""

from fractions import Fraction
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.mannequin import motion, people, render, sampler
from vton_jax.media import photo_files, video_files

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "output", str(Path(__file__).parent.parent / "samples"), "Folder for person.png, garment.png, pose.mp4."
)
flags.DEFINE_integer("seed", 5, "Which person, garment and walk of the test split.")
NUM_FRAMES, FRAME_RATE = 60, 15


def draw(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The photo [H, W, 3], the garment [H, W, 3] and the clip [T, H, W, 3], uint8."""
    keys = jax.random.split(jax.random.fold_in(sampler.people_key(0, "test"), 10_000 + seed), 12)
    culled = jax.default_backend() == "cpu"
    options = {"samples": 3, "culled": culled}
    scene = people.sample_scene(keys[0]).replace(background=jnp.int32(1))
    user, worn = people.sample_identity(keys[1]), people.sample_outfit(keys[2])
    pose = motion.sample_pose(keys[3]).replace(
        yaw=jnp.float32(0.15), shoulder_spread=jnp.full(2, 0.2), shoulder_flex=jnp.zeros(2), elbow=jnp.full(2, 0.3)
    )
    photo = jax.jit(lambda: render.render(user, worn, pose, scene, **options).image)()
    owner, outfit = people.sample_identity(keys[4]), people.sample_outfit(keys[5])
    table = people.even_scene().replace(ambient=jnp.float32(0.6), light=jnp.array([0.3, 0.5, 0.8]))
    flat = jax.jit(lambda: render.render_flat(owner, outfit, motion.flat_pose(), table, **options).frame.image)()
    model, clothes = people.sample_identity(keys[6]), people.sample_outfit(keys[7])
    walk = motion.sample_motion(keys[8], NUM_FRAMES / FRAME_RATE).replace(cross=jnp.float32(1.0))
    studio = people.sample_scene(keys[9]).replace(background=jnp.int32(0))

    def frame(time):
        return render.render(model, clothes, motion.pose_at(walk, time), studio, samples=2, culled=culled).image

    clip = jax.jit(lambda times: jax.lax.map(frame, times))(jnp.arange(NUM_FRAMES) / FRAME_RATE)
    return tuple(np.asarray(jnp.round(image * 255).astype(jnp.uint8)) for image in (photo, flat, clip))


def main() -> None:
    folder = Path(FLAGS.output)
    photo, garment, clip = draw(FLAGS.seed)
    photo_files.write_image(folder / "person.png", photo)
    photo_files.write_image(folder / "garment.png", garment)
    video_files.write_video(folder / "pose.mp4", clip, Fraction(FRAME_RATE))


if __name__ == "__main__":
    flag_utils.run(main)
