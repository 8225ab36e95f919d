"""Presentation of results: pages, model cards, tables and figures."""
