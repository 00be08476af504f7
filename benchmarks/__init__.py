"""Benchmarks: ratios against a baseline that is measured in the same run; no test asserts a time."""
