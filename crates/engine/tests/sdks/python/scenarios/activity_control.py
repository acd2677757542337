"""Activities that somebody pauses, sets back and changes while a worker has them."""

import asyncio

from harness import Bed, equal, eventually, pending_activity, scenario, seconds
from temporalio import activity, workflow
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
)
from temporalio.client import WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.service import RPCError, RPCStatusCode

# What each workflow's activity was told, attempt by attempt.
told: dict[str, list[str]] = {}


@activity.defn
async def patient() -> list[str]:
    """Waits until it is told something; the attempt after that is done."""
    info = activity.info()
    heard = told.setdefault(info.workflow_id or "", [])
    if heard:
        return heard
    try:
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        details = activity.cancellation_details()
        assert details
        heard.append("paused" if details.paused else "reset" if details.reset else f"{details}")
        raise RuntimeError("once more") from None


@activity.defn
async def hopeless() -> None:
    raise RuntimeError("no use")


@workflow.defn
class Waits:
    @workflow.run
    async def run(self) -> list[str]:
        return await workflow.execute_activity(
            patient,
            activity_id="one",
            start_to_close_timeout=seconds(90),
            heartbeat_timeout=seconds(2),
            retry_policy=RetryPolicy(initial_interval=seconds(0.02), backoff_coefficient=1),
        )


@workflow.defn
class Hopes:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            hopeless,
            activity_id="one",
            start_to_close_timeout=seconds(10),
            retry_policy=RetryPolicy(initial_interval=seconds(1000)),
        )


async def started(bed: Bed, run) -> WorkflowHandle:
    return await bed.client.start_workflow(run, id=bed.id(), task_queue=bed.queue)


def of(bed: Bed, handle: WorkflowHandle) -> dict:
    execution = WorkflowExecution(workflow_id=handle.id)
    return {"namespace": bed.client.namespace, "execution": execution, "id": "one"}


@scenario
async def the_worker_is_told_of_a_pause(bed: Bed) -> None:
    handle = await started(bed, Waits.run)
    await pending_activity(handle)
    service = bed.client.workflow_service
    await service.pause_activity(PauseActivityRequest(**of(bed, handle), reason="to look"))

    async def is_paused() -> bool:
        [pending] = (await handle.describe()).raw_description.pending_activities
        return pending.paused and told.get(handle.id) == ["paused"]

    await eventually("it is paused", is_paused)
    await service.unpause_activity(UnpauseActivityRequest(**of(bed, handle)))
    equal(await handle.result(), ["paused"])


@scenario
async def the_worker_is_told_of_a_reset(bed: Bed) -> None:
    handle = await started(bed, Waits.run)
    await pending_activity(handle)
    await bed.client.workflow_service.reset_activity(ResetActivityRequest(**of(bed, handle)))
    equal(await handle.result(), ["reset"])


@scenario
async def options_change_while_it_waits(bed: Bed) -> None:
    handle = await started(bed, Hopes.run)

    async def waits() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        return [one.attempt for one in pending] == [2]

    await eventually("its second attempt waits", waits)
    options = ActivityOptions()
    options.retry_policy.maximum_attempts = 2
    options.retry_policy.initial_interval.FromMilliseconds(20)
    request = UpdateActivityOptionsRequest(**of(bed, handle), activity_options=options)
    request.update_mask.paths.extend(["retry_policy.maximum_attempts", "retry_policy.initial_interval"])
    answer = await bed.client.workflow_service.update_activity_options(request)
    equal(answer.activity_options.retry_policy.maximum_attempts, 2)

    async def failed() -> bool:
        return (await handle.describe()).status.name == "FAILED"

    await eventually("its second attempt was its last", failed)


@scenario
async def there_has_to_be_one(bed: Bed) -> None:
    handle = await started(bed, Waits.run)
    await pending_activity(handle)
    unknown = {**of(bed, handle), "id": "two"}
    for call, request in [
        (bed.client.workflow_service.pause_activity, PauseActivityRequest(**unknown)),
        (bed.client.workflow_service.unpause_activity, UnpauseActivityRequest(**unknown)),
        (bed.client.workflow_service.reset_activity, ResetActivityRequest(**unknown)),
    ]:
        try:
            await call(request)
        except RPCError as error:
            equal(error.status, RPCStatusCode.NOT_FOUND)
        else:
            raise AssertionError("there is no such activity")
    await handle.terminate("enough")
