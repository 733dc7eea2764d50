"""NetworkPolicy enforcement for the local cluster, whose bridge plugin has none. For tests only."""
