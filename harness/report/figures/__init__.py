"""Figures for papers: PNG and SVG."""
