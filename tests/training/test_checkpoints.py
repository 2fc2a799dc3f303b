"""Checkpoints by themselves: what is saved is what was given."""

from tiny_training import memory_source, saved_state

from vton_jax.training import checkpoints


def test_a_checkpoint_holds_what_was_given_when_it_was_saved(train, tmp_path):
    """Files are written while the run goes on: numbers that were not logged yet must not change with it."""
    state = saved_state(train("--num_steps=1"), 1)
    batches = memory_source(4, 0)
    saved = checkpoints.Checkpoints(tmp_path / "other", {"model": "tiny"})
    given = {"recent": [{"loss": float(index)} for index in range(20_000)]}
    saved.save(1, state, batches, given)
    given["recent"].clear()
    saved.wait()
    assert len(saved.restore(state, batches)[1]["recent"]) == 20_000
    saved.close()
