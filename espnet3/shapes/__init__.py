"""Whether a recipe's shapes fit, found out with one batch and no data: `python -m espnet3.shapes REQUEST`."""
