"""Trains a model: python train.py --flagfile=vton_jax/flagfiles/NAME.flags --workdir=DIR

Run the same command again to go on where it stopped: checkpoints in WORKDIR/checkpoints, numbers in
WORKDIR/metrics.jsonl and TensorBoard files, the flags in WORKDIR/flags.txt. Every setting of a model is a flag,
`--multi_path_cnn.latent_size=64`; `python train.py --model=NAME --help` lists them. SIGTERM and Ctrl-C save and stop;
exit codes: 0 trained, 2 something to mend (said in a sentence), 143 stopped by SIGTERM, 130 by Ctrl-C.
"""

import time

from absl import flags

from vton_jax.command_line import allocator, flag_utils
from vton_jax.training.options import TrainingOptions

FLAGS = flags.FLAGS
flag_utils.define_settings(TrainingOptions)


def define_more_flags(arguments: list[str]) -> None:
    """Defines the flags of the model that the command line names."""
    from vton_jax.tasks import TASKS

    flag_utils.define_settings(TASKS[flag_utils.choose(flag_utils.last_value(arguments, "model"), TASKS, "model")])


def main() -> None:
    allocator.keep_freed_memory()
    import jax.numpy as jnp  # here, as all of JAX: --help should not wait for it

    from vton_jax.tasks import TASKS
    from vton_jax.training import distributed, loop, preparation

    started = time.monotonic()
    options = preparation.join_processes(flag_utils.build_settings(TrainingOptions))
    with distributed.together():
        mesh = preparation.make_mesh(options)
        shared = {"size": options.size} | ({"dtype": getattr(jnp, options.dtype)} if FLAGS["dtype"].present else {})
        task = flag_utils.build_settings(TASKS[options.model], shared)
    loop.TrainingLoop(options, task, mesh, started=started, write_flags=flag_utils.write_flags).run()


if __name__ == "__main__":
    flag_utils.run(main, define_more_flags)
