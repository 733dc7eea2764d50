"""The servers of a workspace: what is to be done with them, and asked."""

from dataclasses import dataclass

from aichat_workspace.domain.decision.decisions import Provision
from aichat_workspace.domain.models.tools import ToolStatus
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.policy.blocking import blocks_models
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_status import ActivityRecord
from aichat_workspace.operator.models.report import Report
from aichat_workspace.operator.models.sync import ModelSync
from aichat_workspace.operator.servers.activity import ActivitySync
from aichat_workspace.operator.servers.assignment import chat, model_sync_task, paused
from aichat_workspace.operator.servers.tools import ToolSync
from aichat_workspace.runtime.servers import Connect, ConnectChat


@dataclass(frozen=True, slots=True)
class ServerProgress:
    """How far a workspace's servers are."""

    models: Report
    tools: ToolStatus
    activity: ActivityRecord | None = None


@dataclass(frozen=True, slots=True)
class ServerSync:
    """Keeps the models and tools of all workspaces, and asks for their use, beside
    reconciliation."""

    models: ModelSync
    tools: ToolSync
    activity: ActivitySync
    connect: Connect
    connect_chat: ConnectChat

    def set_desired(
        self, decision: Provision, platform: PlatformSpec, observed: Observed
    ) -> ServerProgress:
        """Hand over what a workspace desires of its servers. Return how far they are."""
        workspace, name = decision.workspace, decision.workspace.spec.workspace_name
        task = model_sync_task(workspace, platform, observed, decision.models, self.connect)
        task = paused(task) if blocks_models(decision.problems) else task
        front_end = chat(workspace, observed, decision.credentials, self.connect, self.connect_chat)
        return ServerProgress(
            models=self.models.set_desired(name, task),
            tools=self.tools.set_desired(name, front_end),
            activity=self.activity.set_desired(name, front_end, workspace.status.activity),
        )

    def forget(self, name: str) -> None:
        """Stop keeping a workspace's models and tools."""
        self.models.forget(name)
        self.tools.forget(name)
        self.activity.forget(name)

    async def close(self) -> None:
        """End all that is under way."""
        await self.models.close()
        await self.tools.close()
        await self.activity.close()
