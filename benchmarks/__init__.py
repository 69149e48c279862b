"""Runnable measurements: `python -m benchmarks.NAME`. Never timed tests."""
