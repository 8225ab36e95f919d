"""Sources, the image store, metadata and splits."""
