"""Measurements side by side in one run, with medians: `python -m benchmarks.inversion`."""
