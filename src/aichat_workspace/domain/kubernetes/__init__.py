"""Pure functions on Kubernetes objects."""
