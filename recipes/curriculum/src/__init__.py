"""The reader of digits: model, text and inference."""
