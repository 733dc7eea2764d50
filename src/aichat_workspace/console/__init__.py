"""The web console: pages for people, rendered from the HTTP API's own answers."""
