"""Scores of a run, their tables and the report page."""
