"""Measure the operator on a control plane without nodes."""
