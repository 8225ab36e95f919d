"""Backbones, metadata encoders, fusion, classifiers and losses."""
