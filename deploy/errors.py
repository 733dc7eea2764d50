"""Errors, each with the exit code of the command line."""

from localcluster.errors import LocalClusterError


class DeployError(LocalClusterError):
    """A deployment did not do what it should; the message says what runs now and how to go on."""


class RefusedError(DeployError):
    """Nothing was changed in the cluster: a requirement is not met."""

    exit_code = 2


class DeploymentFailedError(DeployError):
    """A release could not be applied, does not start or does not answer."""


class NotRolledBackError(DeployError):
    """A release failed, and the release before does not run either."""

    exit_code = 3


class LockLostError(DeployError):
    """Another run has taken over the lock, so this one must not write any more."""

    exit_code = 3
