"""Synthetic RGB-D scenes with ground truth, written as a BOP root."""
