"""Calibration, conformal sets, decisions and subgroups of one system, as tables."""
