"""What the status says of a restore."""

from aichat_workspace.domain.planning.restore import RestorePlan
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status.finding import Finding
from aichat_workspace.domain.v1alpha1.backup import BackupState, RestoreRecord
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionStatus


def restored(restore: RestorePlan, *, is_wanted: bool) -> Finding | None:
    """Return whether the data is that of spec.restore; None where nothing was ever restored, and
    where one that did not succeed has ended and spec.restore is gone: the record stays.

    Ready does not depend on it: after a failure the chat runs with the data that it had.
    """
    record, problem = restore.record, restore.problem
    if problem is not None:
        return Finding(ConditionStatus.FALSE, problem.reason, problem.message)
    if record is None:
        return None
    match record.state:
        case BackupState.RUNNING:
            return Finding(ConditionStatus.UNKNOWN, Reason.RESTORING, record.message)
        case BackupState.DONE:
            return Finding(ConditionStatus.TRUE, Reason.RESTORED, record.message)
        case _ if is_wanted:
            return Finding(ConditionStatus.FALSE, _reason(record), record.message)
        case _:
            return None


def stopped(restore: RestorePlan) -> Finding:
    """Return why the chat does not run.

    Time ends a restore. A chat that never ran waits for its data until somebody acts.
    """
    record, problem = restore.record, restore.problem
    if problem is not None:
        return Finding(ConditionStatus.FALSE, problem.reason, problem.message, problem=True)
    if record is None or record.state is not BackupState.FAILED or not restore.lacks_data:
        message = record.message if record else "a Job writes to its data"
        return Finding(ConditionStatus.FALSE, Reason.RESTORING, message)
    message = f"{record.message}; or remove spec.restore to begin with what is there"
    return Finding(ConditionStatus.FALSE, _reason(record), message, problem=True)


def _reason(record: RestoreRecord) -> Reason:
    return Reason.known(record.reason) or Reason.BACKUP_RUN_FAILED
