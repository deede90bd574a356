"""Hydra configuration files: what to run, no logic."""
