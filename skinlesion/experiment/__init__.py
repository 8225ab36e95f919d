"""Trained experiments: their data, trained models, and prediction of probabilities."""
