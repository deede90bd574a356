"""Metrics, one small module per family."""
