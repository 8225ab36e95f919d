"""Experiment trackers: finished results handed over at once, or every epoch while training. No result depends on it."""
