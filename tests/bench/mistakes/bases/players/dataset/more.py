"""The same clips a second time, as a dataset module of its own."""

from dataset.builder import ClipsBuilder as DatasetBuilder
from dataset.dataset import Clips as Dataset

__all__ = ["Dataset", "DatasetBuilder"]
