"""The recogniser of AN4: model, text and inference."""
