"""A vocoder: from log mel spectra back to a waveform."""
