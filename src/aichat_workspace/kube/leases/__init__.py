"""Leases: one leader, and the clock of the API server."""
