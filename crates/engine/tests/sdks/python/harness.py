"""What the scenarios share: a client, workers, and a few ways of looking.

A scenario is an asynchronous function with `@scenario`. Those of one file run side by side, each with what the file
defines (`@workflow.defn`, `@activity.defn`) at hand in one worker, on the task queue `bed.queue`.
"""

import asyncio
import inspect
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any, Awaitable, Callable, TypeVar

from temporalio.api.enums.v1 import EventType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

T = TypeVar("T")
Scenario = Callable[["Bed"], Awaitable[None]]

# Long enough for a busy machine; nothing that passes comes near it.
PATIENCE = 60.0
# For activities that are plain functions.
THREADS = ThreadPoolExecutor(max_workers=8)


def scenario(function: Scenario) -> Scenario:
    """Marks a function to be run."""
    function.is_scenario = True  # type: ignore[attr-defined]
    return function


@dataclass
class Bed:
    """An engine under test."""

    client: Client
    queue: str
    module: ModuleType

    def id(self) -> str:
        """A workflow id that nobody else has."""
        return f"w-{uuid.uuid4()}"

    @asynccontextmanager
    async def worker(self, queue: str | None = None, **options: Any):
        """A worker with all that the scenario's file defines."""
        async with Worker(
            options.pop("client", self.client),
            task_queue=queue or self.queue,
            workflows=options.pop("workflows", workflows(self.module)),
            activities=options.pop("activities", activities(self.module)),
            activity_executor=THREADS,
            workflow_runner=runner(),
            **options,
        ) as worker:
            yield worker


def runner() -> SandboxedWorkflowRunner:
    """The sandbox that is every worker's default, but for this module, which is not loaded for each workflow."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules("harness"))


def workflows(module: ModuleType) -> list[type]:
    """The workflows that a file defines; of several versions of one, the first."""
    found: dict[str, type] = {}
    for item in vars(module).values():
        if hasattr(item, "__temporal_workflow_definition"):
            found.setdefault(item.__temporal_workflow_definition.name, item)
    return list(found.values())


def activities(module: ModuleType) -> list[Callable[..., Any]]:
    """The activities that a file defines."""
    return [item for item in vars(module).values() if hasattr(item, "__temporal_activity_definition")]


def scenarios(module: ModuleType) -> dict[str, Scenario]:
    """The scenarios that a file defines."""
    found = vars(module).items()
    return {name: item for name, item in found if inspect.isfunction(item) and hasattr(item, "is_scenario")}


def equal(found: Any, expected: Any) -> None:
    """Fails, showing both, unless they are the same."""
    assert found == expected, f"\n   found: {found!r}\nexpected: {expected!r}"


async def eventually(what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """Looks until there is something true to see."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := await look():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"never: {what}")


@asynccontextmanager
async def raises(kind: type[T]):
    """Expects this error of the block, and gives it in `error.value`."""
    error = Raised()
    try:
        yield error
    except kind as raised:  # type: ignore[misc]
        error.value = raised
    else:
        raise AssertionError(f"no {kind.__name__}")


class Raised:
    """What `raises` has caught."""

    value: Any = None


def causes(error: BaseException | None) -> list[str]:
    """The chain of causes, as `Kind: message`."""
    chain = []
    while error is not None:
        chain.append(f"{type(error).__name__}: {getattr(error, 'message', error)}")
        error = error.__cause__
    return chain


async def event_types(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The types of a run's history events, short: `WORKFLOW_EXECUTION_STARTED`, …"""
    return [event_type(event) async for event in handle.fetch_history_events()]


def event_type(event: Any) -> str:
    """The short name of a history event's type."""
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")


async def pending_activity(handle: WorkflowHandle[Any, Any], attempt: int = 1) -> Any:
    """The run's one pending activity, once its attempt with this number has started."""

    async def look() -> Any:
        pending = (await handle.describe()).raw_description.pending_activities
        return next((one for one in pending if one.attempt >= attempt and one.HasField("last_started_time")), None)

    return await eventually(f"attempt {attempt} is started", look)


async def has_event(handle: WorkflowHandle[Any, Any], kind: str) -> None:
    """Waits until the history has an event of this type."""

    async def look() -> bool:
        return kind in await event_types(handle)

    await eventually(f"{kind} in the history", look)


async def add_search_attributes(bed: Bed, **types: Any) -> None:
    """Registers search attributes, and waits until they can be used."""
    request = AddSearchAttributesRequest(namespace=bed.client.namespace, search_attributes=types)
    await bed.client.operator_service.add_search_attributes(request)

    async def usable() -> bool:
        try:
            await bed.client.count_workflows(" AND ".join(f"{name} IS NULL" for name in types))
        except RPCError:
            return False
        return True

    await eventually("the search attributes can be used", usable)


def seconds(count: float) -> timedelta:
    """So many seconds."""
    return timedelta(seconds=count)
