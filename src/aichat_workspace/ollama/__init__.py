"""A client of Ollama's HTTP API. It knows neither Kubernetes nor workspaces."""
