"""Benchmarks: each prints ratios against a floor of the same run, since machines differ."""
