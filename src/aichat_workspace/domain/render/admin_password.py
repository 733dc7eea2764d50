"""Keep the first administrator's account as the Secret says.

Open WebUI creates the administrator at its first start and never reads the Secret again. So an init
container sets the password and the email address whenever the Secret has changed since its last
run. A password that the person has changed stays while the Secret is the same. Sessions end with
the old password (`session_stamp`, where the version of Open WebUI has it).

It also keeps the chat from starting before a restore has ended (backup/swap.py): what people wrote
meanwhile would be lost.
"""

from typing import Any, Final

from aichat_workspace.domain import names

_WHOLE: Final = f"""
import hashlib, os, pathlib, sqlite3, sys, uuid
import bcrypt

data = pathlib.Path(os.environ["DATA_DIR"])
if (data / "{names.RESTORE_STAGING}").exists():
    sys.exit("a restore has not ended: wait, or if killed, run aichat-workspace-backup recover")
"""
_ADMINISTRATOR: Final = """
email, password = os.environ["WEBUI_ADMIN_EMAIL"], os.environ["WEBUI_ADMIN_PASSWORD"]
mark = data / ".first-administrator"
seen = hashlib.sha256(f"{email} {password}".encode()).hexdigest()
before, _, known = mark.read_text().partition("\\n") if mark.exists() else ("", "", "")
database = data / "webui.db"
if database.exists() and before and before != seen:
    with sqlite3.connect(database) as connection:
        has = "SELECT count(*) FROM auth WHERE email = ?"
        if known and not connection.execute(has, [email]).fetchone()[0]:
            for table in ("auth", "user"):
                renamed = f'UPDATE "{table}" SET email = ? WHERE email = ?'
                connection.execute(renamed, [email, known])
        columns = {row[1] for row in connection.execute("PRAGMA table_info(auth)")}
        values = {"password": bcrypt.hashpw(password.encode(), bcrypt.gensalt()).decode()}
        if "session_stamp" in columns:
            values["session_stamp"] = str(uuid.uuid4())
        names = ", ".join(f"{name} = :{name}" for name in values)
        changed = connection.execute(
            f"UPDATE auth SET {names} WHERE email = :email", {**values, "email": email}
        )
    print("password set" if changed.rowcount else f"there is no account {email}")
mark.write_text(f"{seen}\\n{email}")
"""
SCRIPT: Final = _WHOLE + _ADMINISTRATOR


def container(chat: dict[str, Any], secrets: list[dict[str, Any]], data: str) -> dict[str, Any]:
    """Render the init container, with the `chat` container's image, rights and volumes."""
    shared = ("image", "imagePullPolicy", "resources", "securityContext", "volumeMounts")
    return {
        "name": "first-administrator",
        **{key: chat[key] for key in shared},
        "command": ["python3", "-c", SCRIPT],
        "env": [{"name": "DATA_DIR", "value": data}, *secrets],
    }
