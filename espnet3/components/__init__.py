"""The parts of a recipe: data, modelling, training, metrics."""
