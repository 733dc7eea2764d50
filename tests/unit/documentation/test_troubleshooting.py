"""Each reason has its entry among the symptoms, and each entry is a real reason."""

import re
from collections import Counter

from aichat_workspace.documentation import troubleshooting
from aichat_workspace.documentation.troubleshooting import SYMPTOMS
from aichat_workspace.domain.reasons import Reason, Severity

ENTRIES = re.findall(r"^### (\S+) (\S+)$", troubleshooting.page(), re.MULTILINE)


def test_each_reason_has_one_entry_and_each_entry_is_a_reason() -> None:
    assert Counter(ENTRIES) == Counter((reason.code, str(reason)) for reason in Reason)


def test_an_entry_says_what_is_so_and_what_to_do() -> None:
    reason = Reason.UNSCHEDULABLE
    assert (
        f"### {reason.code} {reason}\n\n{reason.problem}\n\n**What to do:** {reason.fix}\n"
    ) in troubleshooting.page()


def test_a_reason_leads_to_its_entry() -> None:
    """The heading's anchor, as GitHub and the site make it."""
    for code, name in ENTRIES:
        reason = Reason.known(name)
        assert reason
        assert reason.remedy == f"troubleshooting.md#{code}-{name}".lower()


def test_what_needs_nothing_comes_last_and_apart() -> None:
    *others, well = SYMPTOMS
    assert {reason.severity for reason in well.reasons} == {Severity.GOOD}
    good = {
        reason
        for symptom in others
        for reason in symptom.reasons
        if reason.severity is Severity.GOOD
    }
    assert good == {Reason.SUSPENDED}, "which people may not expect"
