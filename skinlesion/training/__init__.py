"""The frozen-feature cache, the training loop and its checkpoints."""
