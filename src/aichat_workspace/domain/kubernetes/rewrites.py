"""Find what an admission webhook or policy made of an object while it was written.

What comes back different is what the cluster's owner wants: writing it again would never end. It is
left as it came back; any other value is drift.
"""

import hashlib
import json
from dataclasses import dataclass

from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, differences, ref


@dataclass(frozen=True, slots=True)
class Rewrite:
    """An object that the API server stores otherwise than it was applied."""

    ref: Ref
    fields: tuple[str, ...]
    """The fields that came back different, sorted."""
    revision: str
    """Digest of what was applied and of the values that came back."""


def find_rewrite(stored: Manifest, applied: Manifest) -> Rewrite | None:
    """Compare what the API server has with what was applied; None where all of it is there."""
    different = sorted(differences(stored, applied), key=lambda difference: difference[0])
    if not different:
        return None
    text = json.dumps([applied, different], sort_keys=True)
    revision = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Rewrite(ref(applied), tuple(field for field, _ in different), revision)
