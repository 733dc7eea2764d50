"""The settings of a workspace: a form, the difference that it makes, and then the change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from starlette.responses import Response

from aichat_workspace.console import forms, settings_form
from aichat_workspace.console.api_client import Answer, ApiProblemError
from aichat_workspace.console.forms import Values
from aichat_workspace.console.texts import TEXTS
from aichat_workspace.console.views import differences, rows
from aichat_workspace.console.views.settings import defaults, raised
from aichat_workspace.console.visits import WORKSPACES, Visit

_SAVE: Final = "save"
_BACK: Final = "back"
Errors = Mapping[str, Sequence[str]]
"""Messages by field; under "" what belongs to none."""


async def settings_page(visit: Visit, name: str, team: str, query: Mapping[str, str]) -> Response:
    """Return the form; the query fills fields in, and `raise` doubles the amount of one."""
    current = await _read(visit, name, team)
    spec = current.document["spec"]
    platform = await visit.api.get("/api/v1/platform")
    filled = {
        field.path: query[field.path] for field in settings_form.FIELDS if field.path in query
    }
    path = query.get("raise")
    if path in settings_form.PATHS:
        shown = settings_form.texts(spec)[path]
        filled |= raised(path, shown or defaults(platform).get(path, ""))
    return await _form(visit, current, filled)


async def yaml_page(visit: Visit, name: str, team: str) -> Response:
    """Return the whole spec as YAML."""
    current = await _read(visit, name, team)
    return _yaml(visit, current, settings_form.dump(current.document["spec"]))


async def save(visit: Visit, name: str, team: str, values: Values) -> Response:
    """Show what the form changes, or change it once that was confirmed.

    The change holds for the state in which the form was shown: after another one it is shown again.
    """
    edit = _Edit(visit, name, team, values, await _read(visit, name, team))
    if _BACK in values:
        return await edit.show_again()
    try:
        spec = edit.spec()
        if not differences.differences(edit.before, spec):
            return await edit.show_again(notice=TEXTS["settings_same"])
        document = await edit.send(spec)
    except settings_form.InvalidYamlError as error:
        return await edit.show_again(422, {"": [str(error)]})
    except ApiProblemError as error:
        return await edit.show_refusal(error)
    return _review(edit, document)


@dataclass(frozen=True, slots=True)
class _Edit:
    """What a person has sent, and the workspace as it is now."""

    visit: Visit
    name: str
    team: str
    values: Values
    current: Answer

    @property
    def is_yaml(self) -> bool:
        return settings_form.YAML_FIELD in self.values

    @property
    def is_confirmed(self) -> bool:
        return _SAVE in self.values

    @property
    def before(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.current.document["spec"]
        return spec

    @property
    def text(self) -> str:
        return "\n".join(self.values[settings_form.YAML_FIELD]).replace("\r\n", "\n")

    def spec(self) -> dict[str, Any]:
        """Return the new spec. Raises InvalidYamlError."""
        if self.is_yaml:
            return settings_form.load(self.text)
        return settings_form.with_changes(self.before, settings_form.changes(self.values))

    async def send(self, spec: Mapping[str, Any]) -> Any:
        """Change the spec, or only check it before it is confirmed. Raises ApiProblemError."""
        query = forms.encode_team(self.team)
        query |= {} if self.is_confirmed else {"dryRun": "true"}
        etag = forms.first(self.values, settings_form.ETAG_FIELD)
        path, body = f"{WORKSPACES}/{self.name}", {"spec": spec}
        return (await self.visit.api.send("PUT", path, query, body, if_match=etag)).document

    async def show_again(
        self, status: int = 200, errors: Errors = MappingProxyType({}), notice: str = ""
    ) -> Response:
        """Return the form with what was entered."""
        if self.is_yaml:
            messages = [message for entries in errors.values() for message in entries]
            return _yaml(self.visit, self.current, self.text, status, messages, notice)
        changed = settings_form.changes(self.values)
        return await _form(self.visit, self.current, changed, status, errors, notice)

    async def show_refusal(self, error: ApiProblemError) -> Response:
        """Return the form with what the API refuses. Raises ApiProblemError for other problems."""
        problem = error.problem
        if problem.status in (412, 428):
            notice = TEXTS["yaml_changed"] if self.is_yaml else TEXTS["settings_changed"]
            return await self.show_again(409, notice=notice)
        if problem.status not in (409, 422):
            raise error
        fields = {} if self.is_yaml else settings_form.ERROR_FIELDS
        return await self.show_again(problem.status, forms.errors_by_field(problem, fields))


def _review(edit: _Edit, document: Mapping[str, Any]) -> Response:
    """Return what the change does, to be confirmed; after that, the way to the workspace."""
    row, after = rows.row(document, datetime.now(UTC)), document["spec"]
    if edit.is_confirmed:
        return edit.visit.redirect(row.path)
    return edit.visit.page(
        "review.html",
        row=row,
        is_yaml=edit.is_yaml,
        values=_carried(edit.values),
        differences=differences.differences(edit.before, after),
        restarts=differences.restarts(edit.before, after),
        removed=differences.removed_models(edit.before, after),
    )


async def _read(visit: Visit, name: str, team: str) -> Answer:
    return await visit.api.send("GET", f"{WORKSPACES}/{name}", forms.encode_team(team))


def _carried(values: Values) -> list[tuple[str, str]]:
    """Return what the review's form sends again."""
    left_out = (forms.CSRF_FIELD, _SAVE, _BACK)
    return [
        (name, text) for name, texts in values.items() for text in texts if name not in left_out
    ]


async def _form(
    visit: Visit,
    current: Answer,
    changed: Mapping[str, str],
    status: int = 200,
    errors: Errors = MappingProxyType({}),
    notice: str = "",
) -> Response:
    spec: Mapping[str, Any] = current.document["spec"]
    platform = await visit.api.get("/api/v1/platform")
    patterns = await visit.api.get("/api/v1/patterns")
    was = settings_form.texts(spec)
    shown = {**was, **changed}
    known = [pattern["name"] for pattern in patterns["items"]]
    return visit.page(
        "settings.html",
        status,
        row=rows.row(current.document, datetime.now(UTC)),
        etag=current.etag,
        groups=settings_form.GROUPS,
        texts=shown,
        was=was,
        defaults=defaults(platform),
        patterns=[*dict.fromkeys([*was["patterns"].split(), *shown["patterns"].split(), *known])],
        errors=errors,
        notice=notice,
    )


def _yaml(
    visit: Visit,
    current: Answer,
    text: str,
    status: int = 200,
    errors: Sequence[str] = (),
    notice: str = "",
) -> Response:
    return visit.page(
        "settings_yaml.html",
        status,
        row=rows.row(current.document, datetime.now(UTC)),
        etag=current.etag,
        text=text,
        errors=errors,
        notice=notice,
    )
