"""Scores of a run: estimates meet true poses, errors by instance, metrics in all."""
