"""Explanations that need only a model: activation maps, how well they lie on the lesion, similar images."""
