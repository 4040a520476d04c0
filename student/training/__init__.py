"""The training of a masked LM: stream → loss → loop, with checkpoints and metrics."""
