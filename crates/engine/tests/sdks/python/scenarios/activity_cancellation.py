"""Cancellation of activities, in each of the ways a workflow may wait for it."""

import asyncio

from harness import Bed, equal, event_types, eventually, pending_activity, raises, scenario, seconds
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ActivityError, CancelledError
from temporalio.workflow import ActivityCancellationType

# The SDK sends heartbeats at four fifths of this.
HEARTBEAT = seconds(1)
cancelled: set[str] = set()
finish = asyncio.Event()


@activity.defn
async def patient(way: str) -> str:
    """Waits until it is cancelled, and says so in `cancelled`."""
    try:
        while not finish.is_set():
            activity.heartbeat()
            await asyncio.sleep(0.02)
        return "finished"
    except asyncio.CancelledError:
        cancelled.add(activity.info().workflow_id or "")
        if way == "finish":
            return "finished in spite of it"
        raise


@workflow.defn
class Waits:
    def __init__(self) -> None:
        self.stop = False

    @workflow.run
    async def run(self, kind: int, way: str) -> str:
        task = workflow.start_activity(
            patient,
            way,
            start_to_close_timeout=seconds(60),
            heartbeat_timeout=HEARTBEAT,
            cancellation_type=ActivityCancellationType(kind),
        )
        await workflow.wait_condition(lambda: self.stop)
        task.cancel()
        try:
            return await task
        except ActivityError as error:
            assert isinstance(error.cause, CancelledError)
            return "cancelled"

    @workflow.signal
    def cancel_it(self) -> None:
        self.stop = True


@workflow.defn
class Plain:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            patient, "raise", start_to_close_timeout=seconds(60), heartbeat_timeout=HEARTBEAT
        )


async def waits(bed: Bed, kind: ActivityCancellationType, way: str) -> tuple[str, list[str], str]:
    handle = await bed.client.start_workflow(
        Waits.run, args=[int(kind), way], id=bed.id(), task_queue=bed.queue
    )
    await pending_activity(handle)
    await handle.signal(Waits.cancel_it)
    result = await handle.result()
    kinds = [kind for kind in await event_types(handle) if kind.startswith("ACTIVITY")]
    return result, kinds, handle.id


@scenario
async def trying_to_cancel_does_not_wait(bed: Bed) -> None:
    result, kinds, _ = await waits(bed, ActivityCancellationType.TRY_CANCEL, "raise")
    equal(result, "cancelled")
    equal(kinds, ["ACTIVITY_TASK_SCHEDULED", "ACTIVITY_TASK_CANCEL_REQUESTED"])


@scenario
async def waiting_for_cancellation_sees_its_end(bed: Bed) -> None:
    result, kinds, id = await waits(bed, ActivityCancellationType.WAIT_CANCELLATION_COMPLETED, "raise")
    equal(result, "cancelled")
    assert id in cancelled
    equal(
        kinds,
        [
            "ACTIVITY_TASK_SCHEDULED",
            "ACTIVITY_TASK_CANCEL_REQUESTED",
            "ACTIVITY_TASK_STARTED",
            "ACTIVITY_TASK_CANCELED",
        ],
    )


@scenario
async def an_activity_may_finish_in_spite_of_it(bed: Bed) -> None:
    result, kinds, _ = await waits(bed, ActivityCancellationType.WAIT_CANCELLATION_COMPLETED, "finish")
    equal(result, "finished in spite of it")
    equal(kinds[-1], "ACTIVITY_TASK_COMPLETED")


@scenario
async def an_abandoned_activity_is_not_told(bed: Bed) -> None:
    result, kinds, id = await waits(bed, ActivityCancellationType.ABANDON, "raise")
    equal(result, "cancelled")
    equal(kinds, ["ACTIVITY_TASK_SCHEDULED"])

    async def ended() -> bool:
        return id in cancelled

    # Its run is closed: the next heartbeat finds nobody.
    await eventually("the activity is told that nobody waits", ended)


@scenario
async def cancelling_the_workflow_cancels_its_activity(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Plain.run, id=bed.id(), task_queue=bed.queue)
    await pending_activity(handle)
    await handle.cancel()
    async with raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, CancelledError), failed.value.cause
    equal((await handle.describe()).status.name, "CANCELED")
