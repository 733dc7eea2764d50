"""Events, metrics, probes and traces."""
