"""A real one-node Kubernetes for development and tests, built from source packages.

It knows nothing of the product that is tested on it. Start with ``python -m localcluster --help``.
"""
