"""Enforce NetworkPolicies in the local cluster, whose bridge plugin does not. For tests only."""
