"""Sign-in by another device (RFC 8628)."""

from dataclasses import dataclass, field

import httpx2
import pytest

from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.server import device
from aichat_workspace.cli.server.provider import Provider, Tokens
from aichat_workspace.foundation.tokens import claims
from tests.integration.oidc_provider import Provider as Idp


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    seconds: float = 0.0
    naps: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.seconds += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sign_in(provider: Provider, clock: Clock) -> tuple[Tokens, tuple[str, str, str | None]]:
    shown: list[tuple[str, str, str | None]] = []
    tokens = device.sign_in(
        provider,
        lambda address, code, complete: shown.append((address, code, complete)),
        sleep=clock.sleep,
        now=lambda: clock.seconds,
    )
    return tokens, shown[0]


def test_the_code_is_shown_and_the_tokens_come_once_it_was_entered(
    provider: Provider, idp: Idp, clock: Clock
) -> None:
    idp.device_answers = ["authorization_pending", "authorization_pending"]
    tokens, (address, code, complete) = sign_in(provider, clock)
    assert (address, code) == (f"{idp.issuer}/device", "WDJB-MJHT")
    assert complete == f"{address}?user_code=WDJB-MJHT"
    assert claims(tokens.id_token)["sub"] == "ann"
    assert tokens.refresh_token in idp.good.values()
    assert clock.naps == [1.0, 1.0, 1.0]


def test_slow_down_adds_five_seconds_for_good(provider: Provider, idp: Idp, clock: Clock) -> None:
    idp.device_answers = ["slow_down", "authorization_pending", "slow_down"]
    sign_in(provider, clock)
    assert clock.naps == [1.0, 6.0, 6.0, 11.0]


def test_a_provider_that_names_no_interval_is_asked_each_five_seconds(
    provider: Provider, idp: Idp, clock: Clock
) -> None:
    idp.interval = None
    sign_in(provider, clock)
    assert clock.naps == [5.0]


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        ("access_denied", ExitCode.FORBIDDEN, "the identity provider says no: access_denied"),
        ("expired_token", ExitCode.TIMED_OUT, "nobody has entered the code in time"),
        ("invalid_client", ExitCode.FORBIDDEN, "the identity provider says no: invalid_client"),
    ],
)
def test_a_refusal_ends_it(
    provider: Provider, idp: Idp, clock: Clock, error: str, code: ExitCode, reason: str
) -> None:
    idp.device_answers = ["authorization_pending", error]
    with pytest.raises(CliError) as caught:
        sign_in(provider, clock)
    assert (caught.value.code, caught.value.why) == (code, (reason,))
    assert len(clock.naps) == 2


def test_it_asks_no_longer_than_the_code_is_good(
    provider: Provider, idp: Idp, clock: Clock
) -> None:
    idp.device_answers, idp.interval = ["authorization_pending"] * 30, 30
    with pytest.raises(CliError, match="not signed in") as caught:
        sign_in(provider, clock)
    assert caught.value.code is ExitCode.TIMED_OUT
    assert len(clock.naps) == 20, "each half minute of ten"


def test_a_provider_that_does_not_answer_in_time_is_asked_less_often(
    provider: Provider, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, fails = Provider.tokens, [True, True]

    def tokens(self: Provider, form: dict[str, str]) -> Tokens:
        if fails:
            fails.pop()
            raise httpx2.ReadTimeout("slow")
        return ask(self, form)

    monkeypatch.setattr(Provider, "tokens", tokens)
    sign_in(provider, clock)
    assert clock.naps == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("address", ["http://id.example.org/device", "javascript:alert(1)", None])
def test_a_person_is_sent_to_no_address_without_tls(
    provider: Provider, idp: Idp, clock: Clock, address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"device_code": "a", "user_code": "B", "verification_uri": address}
    monkeypatch.setattr(idp, "begin_device", lambda _: answer)
    with pytest.raises(CliError) as caught:
        sign_in(provider, clock)
    assert caught.value.code is ExitCode.UNREACHABLE
    assert clock.naps == []
