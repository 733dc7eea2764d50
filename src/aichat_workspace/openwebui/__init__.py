"""A client of Open WebUI's HTTP API. It knows neither Kubernetes nor workspaces."""
