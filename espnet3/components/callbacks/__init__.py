"""What happens beside the training step: checkpoints, averages, curves, lines."""
