"""Benchmarks. Results are ratios to a baseline of the same run, since machines differ."""
