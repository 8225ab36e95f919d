"""The phantom, a synthetic data set: its lesions and patients (population) and its images (drawing)."""
