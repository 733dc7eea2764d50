"""Measure the API: latencies, watchers and its requests to the Kubernetes API server."""
