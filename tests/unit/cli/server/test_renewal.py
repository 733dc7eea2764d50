"""Sign-ins that last."""

import ssl
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.server.provider import Client, Tokens
from aichat_workspace.cli.server.renewal import SignIn
from aichat_workspace.foundation.tokens import claims
from tests.integration.oidc_provider import Provider as Idp


@pytest.fixture
def sign_in(tmp_path: Path, trust: ssl.SSLContext) -> SignIn:
    return SignIn(tmp_path / "tokens" / "lab", tmp_path / "renewals" / "lab", lambda: trust)


def begin(sign_in: SignIn, client: Client, idp: Idp, seconds: int) -> str:
    """Store a sign-in whose token ends so soon."""
    idp.seconds = seconds
    tokens = idp._tokens(f"sign-in-{time.monotonic()}")
    idp.seconds = 3600
    sign_in.store(client, Tokens(tokens["id_token"], tokens["refresh_token"]))
    return str(tokens["id_token"])


def test_a_token_that_is_good_for_long_is_used_as_it_is(
    sign_in: SignIn, client: Client, idp: Idp
) -> None:
    before = idp.renewals
    token = begin(sign_in, client, idp, 3600)
    assert sign_in.token(token) == token
    assert idp.renewals == before


@pytest.mark.parametrize("seconds", [30, -30])
def test_a_token_that_ends_soon_is_renewed_and_stored_for_its_owner_only(
    sign_in: SignIn, client: Client, idp: Idp, seconds: int
) -> None:
    token = begin(sign_in, client, idp, seconds)
    newer = sign_in.token(token)
    assert claims(newer)["exp"] > time.time() + 3000
    assert sign_in.token_path.read_text() == newer
    for path in (sign_in.token_path, sign_in.renewal_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_many_at_once_renew_once_so_that_a_rotated_token_is_never_used_twice(
    sign_in: SignIn, client: Client, idp: Idp
) -> None:
    token, before, reused = begin(sign_in, client, idp, 30), idp.renewals, idp.reused
    with ThreadPoolExecutor(8) as pool:
        tokens = {*pool.map(sign_in.token, [token] * 8)}
    assert len(tokens) == 1
    assert (idp.renewals, idp.reused) == (before + 1, reused)


def test_a_sign_in_that_the_provider_has_ended_says_to_sign_in_again(
    sign_in: SignIn, client: Client, idp: Idp
) -> None:
    token = begin(sign_in, client, idp, -30)
    idp.good.clear()
    with pytest.raises(CliError, match="your sign-in has ended") as caught:
        sign_in.token(token)
    assert caught.value.code is ExitCode.FORBIDDEN
    assert not sign_in.renewal_path.exists()


def test_while_the_provider_is_away_a_token_is_used_until_its_end(
    sign_in: SignIn, client: Client, idp: Idp
) -> None:
    away = Client("https://127.0.0.1:1", client.client_id, client.scope)
    token = begin(sign_in, away, idp, 30)
    assert sign_in.token(token) == token
    ended = begin(sign_in, away, idp, -30)
    with pytest.raises(CliError) as caught:
        sign_in.token(ended)
    assert caught.value.code is ExitCode.UNREACHABLE
    assert sign_in.renewal_path.exists()


def test_the_token_of_another_person_is_not_taken(
    sign_in: SignIn, client: Client, idp: Idp
) -> None:
    token = begin(sign_in, client, idp, -30)
    idp.person = "bo"
    with pytest.raises(CliError) as caught:
        sign_in.token(token)
    assert "another person" in caught.value.why[0]
    assert sign_in.token_path.read_text() == token


@pytest.mark.parametrize("text", [None, "", "no JSON", "[]", '{"issuer": "http://id"}'])
def test_without_what_renews_it_a_token_is_left_to_the_api_to_refuse(
    sign_in: SignIn, client: Client, idp: Idp, text: str | None
) -> None:
    token = begin(sign_in, client, idp, -30)
    sign_in.renewal_path.unlink()
    if text is not None:
        sign_in.renewal_path.write_text(text)
        sign_in.renewal_path.chmod(0o600)
    assert sign_in.token(token) == token


def test_signing_out_forgets_all_and_ends_it_at_the_provider(
    sign_in: SignIn, client: Client, idp: Idp
) -> None:
    begin(sign_in, client, idp, 3600)
    before = len(idp.good)
    sign_in.end()
    assert len(idp.good) == before - 1
    assert not sign_in.token_path.exists()
    assert not sign_in.renewal_path.exists()
    sign_in.end()
