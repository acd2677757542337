"""Local activities: their markers, retries and failures, and replays without running them again."""

from harness import Bed, causes, equal, event_types, raises, runner, scenario, seconds
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer

calls: dict[str, int] = {}


@activity.defn
async def count(failures: int) -> int:
    id = activity.info().workflow_id or ""
    calls[id] = calls.get(id, 0) + 1
    assert activity.info().is_local
    if calls[id] <= failures:
        raise ApplicationError("not yet")
    return calls[id]


@workflow.defn
class Local:
    @workflow.run
    async def run(self, failures: int, attempts: int) -> int:
        policy = RetryPolicy(initial_interval=seconds(0.02), maximum_attempts=attempts)
        first = await workflow.execute_local_activity(
            count, failures, start_to_close_timeout=seconds(10), retry_policy=policy
        )
        await workflow.sleep(0.05)
        return first


@scenario
async def it_leaves_a_marker_and_is_not_run_again(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Local.run, args=[0, 1], id=bed.id(), task_queue=bed.queue)
    equal(await handle.result(), 1)
    kinds = await event_types(handle)
    equal(kinds.count("MARKER_RECORDED"), 1)
    assert "ACTIVITY_TASK_SCHEDULED" not in kinds, kinds
    await Replayer(workflows=[Local], workflow_runner=runner()).replay_workflow(await handle.fetch_history())
    equal(calls[handle.id], 1)


@scenario
async def it_is_tried_again(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Local.run, args=[2, 0], id=bed.id(), task_queue=bed.queue)
    equal(await handle.result(), 3)


@scenario
async def its_failure_reaches_the_caller(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Local.run, args=[9, 2], id=bed.id(), task_queue=bed.queue)
    async with raises(WorkflowFailureError) as failed:
        await handle.result()
    equal(causes(failed.value.cause)[-1], "ApplicationError: not yet")
    equal(calls[handle.id], 2)
