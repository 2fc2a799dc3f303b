"""The training loop and its parts: options, state, checkpoints, metrics, sharding, processes, guards."""
