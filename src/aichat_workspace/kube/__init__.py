"""A small controller runtime over HTTP; the official client reads kubeconfigs.

It knows Kubernetes and nothing of workspaces.
"""
