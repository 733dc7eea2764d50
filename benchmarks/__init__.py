"""Measure the product on this machine, and compare within one run."""
