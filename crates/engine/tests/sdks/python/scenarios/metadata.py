"""What people and workflows are told of runs: summaries, details, priorities, versions of workers, the parts of a chain."""

from typing import Any

import temporalio.api.common.v1
import temporalio.api.sdk.v1
from harness import Bed, equal, event_type, scenario, seconds
from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import ResetStickyTaskQueueRequest
from temporalio.common import Priority, RawValue
from temporalio.converter import default as default_converter


@activity.defn
async def own_priority() -> int | None:
    return activity.info().priority.priority_key


@workflow.defn
class Told:
    """Waits for its end; its activity, timer and child have summaries."""

    def __init__(self) -> None:
        self.is_done = False

    @workflow.run
    async def run(self) -> list[int | None]:
        workflow.set_current_details("so far")
        own = await workflow.execute_activity(
            own_priority,
            start_to_close_timeout=seconds(30),
            summary="the activity",
            priority=Priority(priority_key=5),
        )
        await workflow.sleep(0.01, summary="the timer")
        child = await workflow.execute_child_workflow(
            Inner.run, static_summary="the child", static_details="its details", priority=Priority(priority_key=1)
        )
        await workflow.wait_condition(lambda: self.is_done)
        return [own, child]

    @workflow.signal(description="ends it")
    def finish(self) -> None:
        self.is_done = True


@workflow.defn
class Inner:
    @workflow.run
    async def run(self) -> int | None:
        return workflow.info().priority.priority_key


@workflow.defn
class Versions:
    """Tells which worker ran its tasks."""

    def __init__(self) -> None:
        self.steps = 0

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.steps > 0)
        return workflow.info().get_current_build_id()

    @workflow.signal
    def step(self) -> None:
        self.steps += 1

    @workflow.query
    def version(self) -> str:
        return workflow.info().get_current_build_id()


@workflow.defn
class Chain:
    @workflow.run
    async def run(self, left: int) -> dict[str, Any]:
        if left > 0:
            workflow.continue_as_new(left - 1)
        info = workflow.info()
        return {
            "first": info.first_execution_run_id,
            "continued": info.continued_run_id is not None,
            "root": info.root,
            "attempt": info.attempt,
            "length": info.get_current_history_length(),
            "size": info.get_current_history_size() > 0,
            "suggested": info.is_continue_as_new_suggested(),
        }


async def text(payload: temporalio.api.common.v1.Payload) -> str:
    [value] = await default_converter().decode([payload], [str])
    return value


@scenario
async def summaries_are_in_the_history_and_the_description(bed: Bed) -> None:
    handle = await bed.client.start_workflow(
        Told.run,
        id=bed.id(),
        task_queue=bed.queue,
        static_summary="in short",
        static_details="at *length*",
        priority=Priority(priority_key=2),
    )
    await handle.signal(Told.finish)
    equal(await handle.result(), [5, 1])
    found = {}
    async for event in handle.fetch_history_events():
        if event.HasField("user_metadata"):
            found.setdefault(event_type(event), await text(event.user_metadata.summary))
    equal(
        found,
        {
            "WORKFLOW_EXECUTION_STARTED": "in short",
            "ACTIVITY_TASK_SCHEDULED": "the activity",
            "TIMER_STARTED": "the timer",
            "START_CHILD_WORKFLOW_EXECUTION_INITIATED": "the child",
        },
    )
    description = await handle.describe()
    equal((await description.static_summary(), await description.static_details()), ("in short", "at *length*"))
    equal(description.raw_info.priority.priority_key, 2)
    raw = await handle.query("__temporal_workflow_metadata", result_type=RawValue)
    metadata = default_converter().payload_converter.from_payload(raw.payload, temporalio.api.sdk.v1.WorkflowMetadata)
    equal((metadata.definition.type, metadata.current_details), ("Told", "so far"))
    equal([each.description for each in metadata.definition.signal_definitions], ["ends it"])


@scenario
async def a_run_knows_which_worker_ran_it(bed: Bed) -> None:
    queue = f"{bed.queue}-versions"
    async with bed.worker(queue, build_id="1.0"):
        handle = await bed.client.start_workflow(Versions.run, id=bed.id(), task_queue=queue)
        equal(await handle.query(Versions.version), "1.0")
    await bed.client.workflow_service.reset_sticky_task_queue(
        ResetStickyTaskQueueRequest(
            namespace=bed.client.namespace,
            execution=temporalio.api.common.v1.WorkflowExecution(workflow_id=handle.id),
        )
    )
    async with bed.worker(queue, build_id="1.1"):
        # What its last task was run by, and not who is asked.
        equal(await handle.query(Versions.version), "1.0")
        await handle.signal(Versions.step)
        equal(await handle.result(), "1.1")
        equal(await handle.query(Versions.version), "1.1")


@scenario
async def a_run_knows_its_chain(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Chain.run, 2, id=bed.id(), task_queue=bed.queue)
    equal(
        await handle.result(),
        {
            "first": handle.first_execution_run_id,
            "continued": True,
            "root": None,
            "attempt": 1,
            "length": 3,
            "size": True,
            "suggested": False,
        },
    )
