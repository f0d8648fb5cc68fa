"""The framework that speech recipes run on: systems, stages, data, providers and runners, training."""

__version__ = "0.1.0"
