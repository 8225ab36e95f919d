"""Benchmark of skin-lesion classifiers on HAM10000: image only against image and metadata."""

__version__ = "0.1.0"
