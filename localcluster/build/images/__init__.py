"""Build the local cluster's container images here, as no image registry can be reached."""
