"""Speech synthesis: the system and the training of GAN models."""
