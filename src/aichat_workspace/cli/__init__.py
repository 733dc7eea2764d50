"""The command line `aichatctl`, also `kubectl aichat`: a client of the HTTP API.

What is imported only where it is used (HTTP, YAML, Rich) keeps `--help` quick.
"""
