"""Errors, each with the exit code of the command line."""


class DeployError(Exception):
    """A failure that a person can act on; the message says how."""

    exit_code = 1


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
