"""Decide what a workspace becomes and what to do next.

Everything here is pure: frozen data in, frozen data out. Time, randomness and settings are
arguments.
"""
