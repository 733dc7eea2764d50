"""The container images of the local cluster, built here: no image registry can be reached."""
