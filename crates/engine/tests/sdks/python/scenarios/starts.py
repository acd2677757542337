"""Starting workflows: id policies and their errors, delays, time-outs, eager starts, retries of the workflow."""

import asyncio

from harness import Bed, causes, equal, event_types, raises, scenario, seconds
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, TerminatedError, TimeoutError, WorkflowAlreadyStartedError


@workflow.defn
class Waits:
    def __init__(self) -> None:
        self.end: str | None = None

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.end is not None)
        if self.end == "fail":
            raise ApplicationError("as told")
        return str(self.end)

    @workflow.signal
    def finish(self, how: str) -> None:
        self.end = how


@workflow.defn
class Quick:
    @workflow.run
    async def run(self) -> str:
        return "quick"


@workflow.defn
class Again:
    @workflow.run
    async def run(self, successes_at: int) -> int:
        if workflow.info().attempt < successes_at:
            raise ApplicationError(f"attempt {workflow.info().attempt}")
        return workflow.info().attempt


@activity.defn
async def unused() -> None:
    """A worker polls for activities too."""


async def start(bed: Bed, id: str, **options):
    return await bed.client.start_workflow(Waits.run, id=id, task_queue=bed.queue, **options)


async def end(handle, how: str = "well") -> None:
    await handle.signal(Waits.finish, how)
    try:
        await handle.result()
    except WorkflowFailureError:
        pass


@scenario
async def an_id_is_taken_while_its_workflow_runs(bed: Bed) -> None:
    id = bed.id()
    first = await start(bed, id)
    async with raises(WorkflowAlreadyStartedError) as taken:
        await start(bed, id)
    error = taken.value
    equal((error.workflow_id, error.workflow_type, error.run_id), (id, "Waits", first.result_run_id))
    existing = await start(bed, id, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING)
    equal(existing.result_run_id, first.result_run_id)
    other = await start(bed, id, id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING)
    assert other.result_run_id != first.result_run_id
    async with raises(WorkflowFailureError) as gone:
        await first.result()
    assert isinstance(gone.value.cause, TerminatedError)
    await end(other)


@scenario
async def a_closed_workflow_s_id_is_given_again_by_policy(bed: Bed) -> None:
    id = bed.id()
    await end(await start(bed, id))
    for policy in [WorkflowIDReusePolicy.REJECT_DUPLICATE, WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY]:
        async with raises(WorkflowAlreadyStartedError):
            await start(bed, id, id_reuse_policy=policy)
    await end(await start(bed, id), "fail")
    await end(await start(bed, id, id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY))
    running = await start(bed, id)
    other = await start(bed, id, id_reuse_policy=WorkflowIDReusePolicy.TERMINATE_IF_RUNNING)
    replaced = bed.client.get_workflow_handle(id, run_id=running.result_run_id)
    equal((await replaced.describe()).status.name, "TERMINATED")
    await end(other)


@scenario
async def a_start_may_be_delayed(bed: Bed) -> None:
    handle = await bed.client.start_workflow(
        Quick.run, id=bed.id(), task_queue=bed.queue, start_delay=seconds(0.5)
    )
    equal(await handle.result(), "quick")
    description = await handle.describe()
    waited = (description.close_time - description.start_time).total_seconds()
    assert waited >= 0.5, waited


@scenario
async def a_run_times_out(bed: Bed) -> None:
    handle = await start(bed, bed.id(), run_timeout=seconds(0.5))
    async with raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, TimeoutError)
    equal((await handle.describe()).status.name, "TIMED_OUT")


@scenario
async def a_failed_workflow_is_run_again(bed: Bed) -> None:
    policy = RetryPolicy(initial_interval=seconds(0.05), maximum_attempts=3)
    handle = await bed.client.start_workflow(
        Again.run, 3, id=bed.id(), task_queue=bed.queue, retry_policy=policy
    )
    equal(await handle.result(), 3)
    first = bed.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    equal((await event_types(first))[-1], "WORKFLOW_EXECUTION_FAILED")
    hopeless = await bed.client.start_workflow(
        Again.run, 9, id=bed.id(), task_queue=bed.queue, retry_policy=policy
    )
    async with raises(WorkflowFailureError) as failed:
        await hopeless.result()
    equal(causes(failed.value.cause), ["ApplicationError: attempt 3"])


@scenario
async def an_eager_start_takes_no_way_round(bed: Bed) -> None:
    handle = await bed.client.start_workflow(
        Quick.run, id=bed.id(), task_queue=bed.queue, request_eager_start=True
    )
    equal(await handle.result(), "quick")
    events = [event async for event in handle.fetch_history_events()]
    equal(events[0].workflow_execution_started_event_attributes.eager_execution_accepted, True)


@scenario
async def a_hundred_at_once(bed: Bed) -> None:
    async def one() -> str:
        return await bed.client.execute_workflow(Quick.run, id=bed.id(), task_queue=bed.queue)

    equal(set(await asyncio.gather(*(one() for _ in range(100)))), {"quick"})
