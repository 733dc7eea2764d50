"""The control plane and the node: their programs, configuration, networks and cleanup."""
