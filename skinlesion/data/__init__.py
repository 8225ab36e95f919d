"""The data: sources, prepared images, metadata, splits, sampling, augmentation and duplicates."""
