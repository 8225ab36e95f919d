"""Where results lie, and how they are read back; nothing here imports torch."""
