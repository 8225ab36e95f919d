"""Paired comparison of classifiers on the same images: tests, intervals and power, on numpy and scipy alone.

Images of one lesion are not independent. Functions that take `clusters` account for that; without it images count as
independent, which is what most published comparisons assume.
"""
