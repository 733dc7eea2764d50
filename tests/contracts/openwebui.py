"""What the operator and the API rely on of Open WebUI, of the real one and of the fake."""

import secrets
import time

import pytest

from aichat_workspace.openwebui.client import MAX_REPLY_BYTES, OpenWebUIClient
from aichat_workspace.openwebui.errors import (
    AccountExistsError,
    NotAdministratorError,
    OpenWebUIError,
    SignInRefusedError,
)


async def check_contract(client: OpenWebUIClient, email: str, password: str) -> None:
    """Add, read and remove entries of models. No entry is left."""
    entry = {
        "id": "contract:latest",
        "base_model_id": None,
        "name": "contract:latest",
        "params": {"function_calling": "native"},
        "meta": {"managed_by": "contract"},
        "is_active": True,
    }
    with pytest.raises(SignInRefusedError):
        await client.sign_in(email, f"{password}, but another one")
    session = await client.sign_in(email, password)
    before = await session.entries(())
    await session.create(entry)
    with pytest.raises(OpenWebUIError, match="already registered"):
        await session.create(entry)
    (created,) = [model for model in await session.entries(()) if model["id"] == entry["id"]]
    meta = {key: value for key, value in created["meta"].items() if value is not None}
    assert {**{key: created[key] for key in entry}, "meta": meta} == entry
    picture = "data:image/webp;base64," + "A" * MAX_REPLY_BYTES
    await session.create({**entry, "id": "hf.co/a/b:Q4", "meta": {"profile_image_url": picture}})
    with_pictures = await session.entries(["contract:latest", "hf.co/a/b:Q4", "hf.co/a/b"])
    small, large = with_pictures
    assert {key: small[key] for key in entry} == {key: created[key] for key in entry}
    assert large == {"id": "hf.co/a/b:Q4", "meta": None, "params": None}
    await session.delete("hf.co/a/b:Q4")
    await session.delete("contract:latest")
    assert await session.entries(()) == before
    with pytest.raises(OpenWebUIError, match="could not find"):
        await session.delete("contract:latest")
    used = await session.last_activity(email)
    assert await session.last_activity(email.upper()) == used, "its own requests are no use"
    seen = await session.last_activity("nobody@example.org")
    assert seen is not None, "whom Open WebUI lists"
    assert 0 <= time.time() - seen < 3_600, "it saw this session"
    assert used is None or used <= seen
    with pytest.raises(NotAdministratorError, match="401"):
        await type(session)(session.transport, "no token").entries(())


async def check_accounts(client: OpenWebUIClient, email: str, password: str) -> None:
    """Make an account, which stays, and see what it may do."""
    session = await client.sign_in(email, password)
    address, password_of_bo = f"Bo-{secrets.token_hex(4)}@example.org", "A-pass-w0rd"
    await session.add_account(address, "Bo", password_of_bo, "user")
    for spelling in (address, address.lower(), email):
        with pytest.raises(AccountExistsError, match="already registered"):
            await session.add_account(spelling, "Bo", "another", "user")
    with pytest.raises(OpenWebUIError, match="email format") as raised:
        await session.add_account("bo", "Bo", password_of_bo, "user")
    assert not isinstance(raised.value, AccountExistsError)
    with pytest.raises(SignInRefusedError):
        await client.sign_in(address, "another")
    own = await client.sign_in(address.lower(), password_of_bo)
    with pytest.raises(NotAdministratorError):
        await own.add_account("eve@example.org", "Eve", password_of_bo, "admin")
