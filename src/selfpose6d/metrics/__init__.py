"""Distances between poses, areas under curves, the BOP errors."""
