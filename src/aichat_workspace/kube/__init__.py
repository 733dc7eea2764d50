"""A small controller runtime on the official client's transport.

It knows Kubernetes and nothing of workspaces.
"""
