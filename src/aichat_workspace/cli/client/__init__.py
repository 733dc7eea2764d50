"""HTTP requests to the API, and its answers."""
