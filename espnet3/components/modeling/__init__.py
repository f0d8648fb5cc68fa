"""Around a model: the Lightning module, optimizers, initialisation."""
