"""The recogniser of spoken digits: model, text, augmentation and inference."""
