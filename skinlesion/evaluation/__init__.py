"""Metrics and calibration on arrays and tables; nothing here imports torch."""
