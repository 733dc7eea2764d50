"""The platform's settings in force: of the AIChatPlatform, or the last ones of one that is gone.

Absence is no instruction. Deleting the AIChatPlatform changes no workspace, and a field that a
newer release does not understand keeps its earlier value. A ConfigMap records what is in force.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.v1alpha1.base import read_leniently
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME, PlatformSpec
from aichat_workspace.foundation.metadata import annotations

_SPEC: Final = "spec"
_UPGRADES: Final = "upgrades"
_FIELDS: Final = [field.alias or name for name, field in PlatformSpec.model_fields.items()]


@dataclass(frozen=True, slots=True)
class Settings:
    """The platform's settings in force."""

    spec: PlatformSpec
    document: Mapping[str, Any]
    """The written fields of the spec, and not the effective ones: the defaults of a newer release
    hold for the others."""
    not_understood: Mapping[str, str] = field(default_factory=dict)
    """Why top-level fields of the AIChatPlatform's spec are refused, by name."""
    unknown: frozenset[str] = frozenset()
    """Refused fields without an earlier value: the spec has defaults in their place, and what
    depends on them has to stay as it is."""
    is_upgrade_paused: bool = False
    """The AIChatPlatform's annotation says that no workspace changes its pods."""
    is_deleted: bool = False
    """The AIChatPlatform is gone, and its last settings are in force."""

    @property
    def problem(self) -> str:
        """Why the AIChatPlatform is not understood; empty when it is."""
        return format_problem(self.not_understood.values())

    @property
    def refusal(self) -> str:
        """What is not understood, what holds in its place, and what to do; empty for nothing."""
        if not self.problem:
            return ""
        unknown = ", ".join(sorted(self.unknown))
        effect = (
            f"no earlier value of {unknown} is known, so what depends on it is left as it is"
            if unknown
            else "the earlier values stay in force"
        )
        fix = "correct it, or bring the operator and its CRDs to the same version"
        return f"{self.problem}; {effect}; {fix}"


DEFAULTS: Final = Settings(PlatformSpec(), {})


def format_problem(refusals: Iterable[str]) -> str:
    """Write which settings are not understood, and why; nothing for none."""
    reasons = "; ".join(f"spec.{refusal}" for refusal in refusals)
    return f"AIChatPlatform {PLATFORM_NAME!r} is not understood: {reasons}" if reasons else ""


def settings_in_force(
    platform: Manifest | None, record: Manifest | None, last: Settings | None
) -> Settings | None:
    """Return the settings in force; None where there never was an AIChatPlatform.

    `last` are those that were in force so far, None at the start. `record` is the ConfigMap.
    """
    earlier = [settings for settings in (last, _recorded(record)) if settings is not None]
    if platform is None:
        return _without_platform(earlier[0]) if earlier else None
    is_upgrade_paused = annotations(platform).get(names.UPGRADES_ANNOTATION) == names.PAUSED
    settings = _read(platform.get(_SPEC) or {}, earlier)
    return replace(settings, is_upgrade_paused=is_upgrade_paused)


def settings_record(settings: Settings) -> Manifest:
    """Render the ConfigMap that keeps the settings for a time without an AIChatPlatform."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.SETTINGS_RECORD,
            "namespace": names.SYSTEM_NAMESPACE,
            "labels": {names.MANAGED_BY_LABEL: names.OPERATOR},
            "annotations": {
                "kubernetes.io/description": "Written by the operator: the settings in force. They "
                "stay in force when the AIChatPlatform is deleted; edit that instead."
            },
        },
        "data": {
            _SPEC: json.dumps(settings.document, sort_keys=True),
            **({_UPGRADES: names.PAUSED} if settings.is_upgrade_paused else {}),
        },
    }


def _read(document: Mapping[str, Any], earlier: Iterable[Settings] = ()) -> Settings:
    """Read an AIChatPlatform's spec. A refused field has its value from the first of the earlier
    settings that knows it."""
    _, refused = read_leniently(PlatformSpec, document)
    written = dict(document)
    unknown = set()
    for name in refused:
        source = next((settings for settings in earlier if name not in settings.unknown), None)
        if source is None:
            unknown.add(name)
        elif name in source.document:
            written[name] = source.document[name]
        else:
            del written[name]
    known = {name: value for name, value in written.items() if name not in unknown}
    spec = PlatformSpec.model_validate(known, extra="ignore")
    return Settings(spec, written, refused, frozenset(unknown))


def _without_platform(last: Settings) -> Settings:
    refused = {name: why for name, why in last.not_understood.items() if name in last.unknown}
    return replace(last, not_understood=refused, is_deleted=True)


def _recorded(record: Manifest | None) -> Settings | None:
    """Read the recorded settings. Of a record that was made unreadable, every field is unknown:
    defaults in their place would change every workspace."""
    if record is None:
        return None
    data = record.get("data") or {}
    is_upgrade_paused = data.get(_UPGRADES) == names.PAUSED
    try:
        document = json.loads(data.get(_SPEC, ""))
    except json.JSONDecodeError:
        document = None
    if isinstance(document, dict):
        return replace(_read(document), is_upgrade_paused=is_upgrade_paused)
    reasons = {
        name: f"{name}: ConfigMap {names.SETTINGS_RECORD!r} is unreadable" for name in _FIELDS
    }
    return Settings(PlatformSpec(), {}, reasons, frozenset(_FIELDS), is_upgrade_paused)
