"""Activities whose result comes from elsewhere: by task token, and by ids."""

import asyncio

from harness import Bed, causes, equal, eventually, pending_activity, raises, scenario, seconds
from temporalio import activity, workflow
from temporalio.client import AsyncActivityCancelledError, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

tokens: dict[str, bytes] = {}


@activity.defn
async def elsewhere() -> str:
    tokens[activity.info().workflow_id or ""] = activity.info().task_token
    activity.raise_complete_async()


@workflow.defn
class Waits:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            elsewhere,
            activity_id="one",
            start_to_close_timeout=seconds(60),
            heartbeat_timeout=seconds(30),
            retry_policy=RetryPolicy(maximum_attempts=1),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )


async def started(bed: Bed):
    handle = await bed.client.start_workflow(Waits.run, id=bed.id(), task_queue=bed.queue)
    await pending_activity(handle)

    async def token() -> bytes | None:
        return tokens.get(handle.id)

    return handle, await eventually("a token", token)


@scenario
async def by_token(bed: Bed) -> None:
    handle, token = await started(bed)
    other = bed.client.get_async_activity_handle(task_token=token)
    await other.heartbeat("half")
    described = await pending_activity(handle)
    equal(described.heartbeat_details.payloads[0].data, b'"half"')
    await other.complete("done")
    equal(await handle.result(), "done")
    async with raises(RPCError) as late:
        await other.complete("again")
    equal(late.value.status, RPCStatusCode.NOT_FOUND)


@scenario
async def by_ids(bed: Bed) -> None:
    handle, _ = await started(bed)
    other = bed.client.get_async_activity_handle(workflow_id=handle.id, run_id=None, activity_id="one")
    await other.heartbeat(1)
    await other.complete("by ids")
    equal(await handle.result(), "by ids")


@scenario
async def a_failure_from_elsewhere(bed: Bed) -> None:
    handle, token = await started(bed)
    await bed.client.get_async_activity_handle(task_token=token).fail(ApplicationError("from afar"))
    async with raises(WorkflowFailureError) as failed:
        await handle.result()
    equal(causes(failed.value.cause), ["ActivityError: Activity task failed", "ApplicationError: from afar"])


@scenario
async def a_heartbeat_tells_of_cancellation(bed: Bed) -> None:
    handle, token = await started(bed)
    other = bed.client.get_async_activity_handle(task_token=token)
    await handle.cancel()

    async def told() -> bool:
        try:
            await other.heartbeat()
        except AsyncActivityCancelledError:
            return True
        await asyncio.sleep(0.02)
        return False

    await eventually("the heartbeat is answered with the cancellation", told)
    await other.report_cancellation("details")
    async with raises(WorkflowFailureError):
        await handle.result()
    equal((await handle.describe()).status.name, "CANCELED")
