"""Generate the Helm chart from the kustomizations in config/ and a typed model of its values."""
