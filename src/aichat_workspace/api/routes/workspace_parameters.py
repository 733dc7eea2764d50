"""What requests for a workspace name and ask for: its path, query and headers."""

from typing import Annotated, Final

from fastapi import Header, Path, Query
from starlette.convertors import StringConvertor, register_url_convertor

from aichat_workspace.api.routes import queries
from aichat_workspace.domain import names


class _NameConvertor(StringConvertor):
    """A name in a path; a colon after it begins an action."""

    regex = "[^/:]+"


register_url_convertor("workspace", _NameConvertor())
WORKSPACE_PATH: Final = "{name:workspace}"
Name = Annotated[
    str,
    Path(
        description="The workspaceName.",
        min_length=1,
        max_length=names.WORKSPACE_NAME_MAX_LENGTH,
        pattern=names.WORKSPACE_NAME_PATTERN,
        examples=["team-a-aichat"],
    ),
]
WorkspaceParameters = Annotated[queries.WorkspaceQuery, Query()]
CreateParameters = Annotated[queries.CreateQuery, Query()]
ChangeParameters = Annotated[queries.ChangeQuery, Query()]
IfMatch = Annotated[
    str | None, Header(description="An ETag: change only this state of the spec; `*` for any.")
]
IfNoneMatch = Annotated[
    str | None, Header(description="An ETag: 304 if this state is the newest still.")
]
