"""The trainer, its checkpoints and how a training is taken up again."""
