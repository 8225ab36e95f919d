"""Paired comparison of classifiers on the same images: numpy and scipy only, no torch, no files.

Images of one lesion are not independent. Functions that take `clusters` respect that; without it every image
counts on its own, which is what most published comparisons do.
"""
