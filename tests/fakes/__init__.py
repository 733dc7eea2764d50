"""Servers in memory. Each is held to the real one by a check that both have to pass."""
