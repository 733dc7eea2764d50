"""The HTTP API: everything about a workspace without Kubernetes' own tools."""
