"""Registries of images and models by the OCI distribution API, and bundles for sites without one.

It knows neither Kubernetes nor workspaces, and needs no package but the command line's.
"""
