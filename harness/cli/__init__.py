"""Hydra: compose a configuration, launch its cells, show them, conclude a sweep."""
