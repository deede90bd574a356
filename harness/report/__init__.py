"""Drawn and written from standings: pages, figures, tables."""
