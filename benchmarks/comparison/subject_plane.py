"""Start a control plane for the measured operator."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cluster.control_plane import cluster, kubectl, run, write_kubeconfig
from benchmarks.comparison.subject import Subject


@dataclass(frozen=True, slots=True)
class SubjectPlane:
    """A control plane for one operator.

    `kubeconfig` is the administrator's, and `subject_kubeconfig` is of the operator's account.
    """

    kubeconfig: Path
    subject_kubeconfig: Path
    audit_log: Path


@contextmanager
def running(
    subject: Subject, name: str, *, pod_address: str = "", audit_bodies: bool = False
) -> Iterator[SubjectPlane]:
    """Run a control plane with the operator's manifests until the context ends.

    With an address for pods it has simulated nodes, on which pods become Ready. Without one, pods
    stay pending.
    """
    options = [f"--simulated-pods={pod_address}"] if pod_address else []
    options += ["--audit-bodies"] if audit_bodies else []
    with cluster(name, *options) as status, TemporaryDirectory() as folder:
        kubeconfig = Path(status["kubeconfig"])
        command = kubectl(kubeconfig)
        for path in subject.manifests:
            option = "-k" if (path / "kustomization.yaml").exists() else "-f"
            run(*command, "apply", "--server-side", option, str(path))
        if subject.is_foreign:
            namespace, _, account = subject.account.partition("/")
            run(*command, "create", "serviceaccount", account, "-n", namespace)
            grant = ("--clusterrole=cluster-admin", f"--serviceaccount={namespace}:{account}")
            run(*command, "create", "clusterrolebinding", "bench-subject", *grant)
        own = Path(folder, "kubeconfig")
        write_kubeconfig(own, kubeconfig, subject.account)
        yield SubjectPlane(kubeconfig, own, Path(status["audit_log"]))
