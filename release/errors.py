"""The error of the release tools."""

from localcluster.errors import LocalClusterError


class ReleaseError(LocalClusterError):
    """A release can't be built; the message names what to change."""
