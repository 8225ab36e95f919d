"""The synthetic data set: who is in it (population) and what it looks like (drawing)."""
