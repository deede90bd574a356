"""Run one cell and store its record."""
