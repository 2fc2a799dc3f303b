"""The training loop's parts: state, checkpoints, metrics, sharding, processes, guards, compiler options."""
