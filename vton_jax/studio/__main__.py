"""Opens the studio, a page to try on clothes: python -m vton_jax.studio [--port=7860 --host=127.0.0.1 --password=...]

The page shows what was read before anybody is dressed, takes corrections, and shows what the machine did; /api/docs
explains the same over HTTP. It listens on this machine alone unless --host says otherwise. The extra `studio` holds
what it needs: pip install 'vton-jax[studio]'.
"""

from pathlib import Path

from absl import flags

from vton_jax.command_line import allocator, flag_utils
from vton_jax.studio.options import StudioOptions

flag_utils.define_settings(StudioOptions)
flags.DEFINE_string("render_example", None, "Instead: dress the packaged sample into a folder, which the page shows.")


def main() -> None:
    options = flag_utils.build_settings(StudioOptions)
    if flags.FLAGS.render_example:
        from vton_jax.studio import example

        return example.render(Path(flags.FLAGS.render_example), options.weights)
    allocator.share_one_heap()
    from vton_jax.studio import server  # here: --help should not wait for JAX

    return server.serve(options)


if __name__ == "__main__":
    flag_utils.run(main)
