"""The esp3c compiler: one recipe in, diagnostics and an ESPnet3 recipe out."""

__version__ = "0.1.0"
