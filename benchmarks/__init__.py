"""Measures the product on this machine, and compares within one run."""
