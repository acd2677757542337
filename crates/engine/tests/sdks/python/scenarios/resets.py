"""Resets: a run goes on from a point of its history, with what was told to it since."""

import uuid

from harness import Bed, equal, event_types, has_event, scenario, seconds
from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowHandle

calls: dict[str, int] = {}


@activity.defn
async def call() -> int:
    id = activity.info().workflow_id or ""
    calls[id] = calls.get(id, 0) + 1
    return calls[id]


@workflow.defn
class Resettable:
    def __init__(self) -> None:
        self.seen: list[str] = []

    @workflow.run
    async def run(self) -> str:
        called = await workflow.execute_activity(call, start_to_close_timeout=seconds(10))
        await workflow.wait_condition(lambda: len(self.seen) >= 2)
        return f"{called}: {','.join(self.seen)}"

    @workflow.signal
    def tell(self, text: str) -> None:
        self.seen.append(text)


async def reset(bed: Bed, handle: WorkflowHandle, kind: ResetReapplyType.ValueType) -> WorkflowHandle:
    """Resets it to its first workflow task, and answers the new run."""
    events = [event async for event in handle.fetch_history_events()]
    first = next(event for event in events if event.HasField("workflow_task_completed_event_attributes"))
    answer = await bed.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=bed.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=handle.result_run_id or ""),
            reason="try again",
            workflow_task_finish_event_id=first.event_id,
            request_id=str(uuid.uuid4()),
            reset_reapply_type=kind,
        )
    )
    return bed.client.get_workflow_handle(handle.id, run_id=answer.run_id)


@scenario
async def a_closed_run_goes_on_from_its_first_task(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Resettable.run, id=bed.id(), task_queue=bed.queue)
    await handle.signal(Resettable.tell, "a")
    await handle.signal(Resettable.tell, "b")
    equal(await handle.result(), "1: a,b")
    again = await reset(bed, handle, ResetReapplyType.RESET_REAPPLY_TYPE_SIGNAL)
    equal(await again.result(), "2: a,b")
    kinds = await event_types(again)
    assert "WORKFLOW_TASK_FAILED" in kinds, kinds
    equal(kinds.count("WORKFLOW_EXECUTION_SIGNALED"), 2)


@scenario
async def a_running_one_is_ended_and_its_signals_may_be_left_behind(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Resettable.run, id=bed.id(), task_queue=bed.queue)
    await has_event(handle, "ACTIVITY_TASK_COMPLETED")
    await handle.signal(Resettable.tell, "first")
    again = await reset(bed, handle, ResetReapplyType.RESET_REAPPLY_TYPE_NONE)
    old = bed.client.get_workflow_handle(handle.id, run_id=handle.result_run_id)
    equal((await old.describe()).status.name, "TERMINATED")
    await again.signal(Resettable.tell, "second")
    await again.signal(Resettable.tell, "third")
    equal(await again.result(), "2: second,third")
