"""The ends of a workflow: cancelled, terminated, failed, and failures with nested causes."""

import asyncio

from harness import Bed, causes, equal, event_types, has_event, raises, scenario
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError


@workflow.defn
class Waits:
    @workflow.run
    async def run(self, on_cancel: str) -> str:
        try:
            await workflow.wait_condition(lambda: False)
        except asyncio.CancelledError:
            if on_cancel == "ignore":
                return f"ended well: {workflow.cancellation_reason()}"
            await workflow.sleep(0.01)
            raise
        return "never"


@workflow.defn
class Nested:
    @workflow.run
    async def run(self) -> None:
        try:
            try:
                raise ValueError("the ground")
            except ValueError as ground:
                raise ApplicationError("the middle", 1, {"a": "b"}, type="Middle") from ground
        except ApplicationError as middle:
            raise ApplicationError("the top", type="Top", non_retryable=True) from middle


@workflow.defn
class Crash:
    """Its code fails: the task is tried again and the workflow stays open."""

    @workflow.run
    async def run(self) -> None:
        raise RuntimeError("a mistake")


@scenario
async def a_cancelled_workflow_cleans_up(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Waits.run, "clean", id=bed.id(), task_queue=bed.queue)
    await has_event(handle, "WORKFLOW_TASK_COMPLETED")
    await handle.cancel()
    async with raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, CancelledError)
    kinds = await event_types(handle)
    assert "WORKFLOW_EXECUTION_CANCEL_REQUESTED" in kinds and "TIMER_FIRED" in kinds, kinds
    equal(kinds[-1], "WORKFLOW_EXECUTION_CANCELED")


@scenario
async def a_workflow_may_end_well_in_spite_of_it(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Waits.run, "ignore", id=bed.id(), task_queue=bed.queue)
    await has_event(handle, "WORKFLOW_TASK_COMPLETED")
    await handle.cancel(reason="enough")
    equal(await handle.result(), "ended well: enough")


@scenario
async def a_terminated_workflow_tells_why(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Waits.run, "clean", id=bed.id(), task_queue=bed.queue)
    await handle.terminate("the detail", reason="the reason")
    async with raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, TerminatedError)
    equal(failed.value.cause.message, "the reason")
    equal(list(failed.value.cause.details), ["the detail"])


@scenario
async def failures_arrive_with_all_their_causes(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Nested.run, id=bed.id(), task_queue=bed.queue)
    async with raises(WorkflowFailureError) as failed:
        await handle.result()
    top = failed.value.cause
    equal(causes(top), ["ApplicationError: the top", "ApplicationError: the middle", "ApplicationError: the ground"])
    equal((top.type, top.non_retryable), ("Top", True))
    middle = top.__cause__
    equal((middle.type, list(middle.details)), ("Middle", [1, {"a": "b"}]))
    equal(middle.__cause__.type, "ValueError")


@scenario
async def a_mistake_in_the_code_keeps_the_workflow_open(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Crash.run, id=bed.id(), task_queue=bed.queue)
    await has_event(handle, "WORKFLOW_TASK_FAILED")
    description = await handle.describe()
    equal(description.status.name, "RUNNING")
    await handle.terminate()
    equal((await event_types(handle)).count("WORKFLOW_TASK_FAILED"), 1)
