"""Each caller's share of the memory for whole answers."""

import pytest

from aichat_workspace.api.web.limits.answer_limits import AnswerLimit
from aichat_workspace.api.web.responses.problems import ProblemError

ACCOUNT = "system:serviceaccount:team-a:"


def test_a_caller_beyond_their_share_is_429_and_all_beyond_the_room_503() -> None:
    limit = AnswerLimit.create(10, 15)
    with limit.reserve("ann") as ann, limit.reserve("bob") as bob:
        ann(6)
        ann(4)
        with pytest.raises(ProblemError, match="Ask with `stream`") as own:
            ann(1)
        bob(5)
        with pytest.raises(ProblemError, match="of all callers") as room:
            bob(1)
    assert (own.value.status, room.value.status) == (429, 503)
    assert own.value.retry_after_seconds
    assert room.value.retry_after_seconds
    assert limit.room.total == 0


def test_two_answers_of_a_caller_have_one_share() -> None:
    limit = AnswerLimit.create(10, 100)
    with limit.reserve("ann") as first, limit.reserve("ann") as second:
        first(8)
        with pytest.raises(ProblemError):
            second(3)


def test_the_accounts_of_a_namespace_leave_half_of_the_room_to_others() -> None:
    limit = AnswerLimit.create(16, 32)
    with limit.reserve(f"{ACCOUNT}1") as first, limit.reserve(f"{ACCOUNT}2") as second:
        first(10)
        second(6)
        with pytest.raises(ProblemError) as refusal:
            second(1)
        with limit.reserve("ann") as ann:
            ann(16)
    assert refusal.value.status == 429


def test_the_accounts_of_a_namespace_have_five_shares_together() -> None:
    limit = AnswerLimit.create(10, 100)
    with limit.reserve(f"{ACCOUNT}1") as hold:
        hold(10)
        for number in range(2, 6):
            with limit.reserve(f"{ACCOUNT}{number}") as other:
                other(10)
