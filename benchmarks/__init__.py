"""Measurements of Plaudit, and of the alternatives beside it. Run from the root: `python -m benchmarks.events`."""
