"""The steps of a deployment, and the way back."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy import history, rollout, smoke_test
from deploy.environment import Environment
from deploy.errors import DeploymentFailedError, NotRolledBackError, RefusedError
from deploy.history import History
from deploy.kubectl import Kubectl, KubectlError
from deploy.lock import Lock
from deploy.manifests import CRD, Identity, Release, lost_fields, obsolete
from localcluster.progress import Report

_ESTABLISHED_SECONDS = 60


@dataclass(frozen=True)
class Deployment:
    """One run, which has the lock."""

    kubectl: Kubectl
    environment: Environment
    lock: Lock
    report: Report
    test: Callable[[Kubectl, Environment, Report, Callable[[], None]], None] = smoke_test.run

    def deploy(self, release: Release, *, keep_crds: bool) -> None:
        """Bring the cluster to a release; when it fails, back to the one before.

        Raises:
            KubectlError: kubectl failed before anything was changed.
            LockLostError: another run has taken over.
            NotRolledBackError: it failed, and the release before does not run.
            RefusedError: the release's CRDs are older than the cluster's; nothing was changed.
            DeploymentFailedError: it failed, and the release before runs.
        """
        if not keep_crds:
            self._check_crds(release)
        record = history.read(self.kubectl)
        if record.candidate:
            self.report(
                "history", f"a run was interrupted while it deployed {record.candidate.name}"
            )
        record = history.write(self.kubectl, record.begin(release))
        try:
            self._bring(record, release, keep_crds=keep_crds)
        except (KubectlError, DeploymentFailedError) as failure:
            self._back_after(record, release, failure)
        else:
            history.write(self.kubectl, record.finish(release))

    def back(self) -> Release:
        """Go back to the release that an interrupted or failed run was to replace.

        Raises:
            KubectlError: kubectl failed.
            LockLostError: another run has taken over.
            RefusedError: there is none.
            DeploymentFailedError: it does not run any more.
        """
        record = history.read(self.kubectl)
        if record.current is None:
            raise RefusedError("no release has passed its smoke test here, so there is no way back")
        self._bring(record, record.current, keep_crds=True)
        history.write(self.kubectl, record.finish(record.current))
        return record.current

    def _back_after(self, record: History, release: Release, failure: Exception) -> None:
        """Raise what has failed and what runs now."""
        self.report("failed", str(failure).partition("\n")[0])
        what = f"{release.name} was not deployed: {failure}"
        environment = self.environment.name
        if record.current is None:
            raise NotRolledBackError(
                f"{what}\n\nRuns now: parts of it. No release before it has passed the smoke test "
                "here, so nothing was rolled back.\n"
                f"Next: mend it, and make deploy ENV={environment}"
            ) from failure
        self.report("rollback", f"to {record.current.name}")
        try:
            self.back()
        except (KubectlError, DeploymentFailedError) as second:
            raise NotRolledBackError(
                f"{what}\n\nThe rollback to {record.current.name} has failed, too: {second}\n\n"
                "Runs now: parts of both. Where both fail in the same way, look at the cluster "
                f"first.\nNext: make deploy ENV={environment} BACK=yes tries the rollback again"
            ) from failure
        raise DeploymentFailedError(
            f"{what}\n\nRuns now: {record.current.name}, by a rollback; it has passed the smoke "
            f"test.\nNext: mend the release, and make deploy ENV={environment}"
        ) from failure

    def _bring(self, record: History, release: Release, *, keep_crds: bool) -> None:
        """Apply a release, wait for it, remove what other releases had, and test it."""
        if not keep_crds and release.crds:
            self._apply("CustomResourceDefinitions", release, release.crds)
            crds = [f"crd/{manifest['metadata']['name']}" for manifest in release.crds]
            timeout = f"--timeout={_ESTABLISHED_SECONDS}s"
            self.kubectl.run("wait", "--for=condition=Established", *crds, timeout)
        self._apply("manifests", release, release.others)
        seconds = self.environment.rolloutSeconds
        rollout.wait(self.kubectl, release.deployments, seconds, self.report, self.lock.check)
        for item in obsolete(record.applied, release):
            self._remove(item)
        self.test(self.kubectl, self.environment, self.report, self.lock.check)
        self.lock.check()

    def _apply(self, what: str, release: Release, manifests: list[dict[str, object]]) -> None:
        self.lock.check()
        self.report("apply", f"{len(manifests)} {what} of {release.name}")
        self.kubectl.apply(manifests)

    def _remove(self, item: Identity) -> None:
        self.lock.check()
        kind = f"{item.kind}.{item.group}" if item.group else item.kind
        self.report("remove", f"{kind} {item.name}, which this release does not have")
        namespace = ("-n", item.namespace) if item.namespace else ()
        self.kubectl.run(
            "delete", kind, item.name, *namespace, "--ignore-not-found", "--wait=false"
        )

    def _check_crds(self, release: Release) -> None:
        for crd in release.crds:
            name = crd["metadata"]["name"]
            stored = self.kubectl.get("crd", name)
            if stored and (lost := lost_fields(stored, crd)):
                raise RefusedError(
                    f"the release is older than the cluster: its {CRD} {name} lacks "
                    f"{', '.join(lost)}, and data in these would be dropped. Deploy a newer "
                    "release; or read docs/versioning.md, Downgrade, and add CRDS=keep: it leaves "
                    "the cluster's definitions as they are"
                )
