"""Activities without a workflow."""

import asyncio

from harness import Bed, equal, eventually, raises, scenario, seconds
from temporalio import activity
from temporalio.client import ActivityFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityAlreadyStartedError, ApplicationError, CancelledError, TerminatedError


@activity.defn
async def greet(name: str) -> str:
    if name == "fail":
        raise ApplicationError("no greeting", type="Rude", non_retryable=True)
    if name == "retry" and activity.info().attempt < 3:
        raise ApplicationError("not yet")
    return f"Hello, {name}!"


@activity.defn
async def patient() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.02)


def options(bed: Bed) -> dict:
    return {
        "id": bed.id(),
        "task_queue": bed.queue,
        "start_to_close_timeout": seconds(30),
        "heartbeat_timeout": seconds(1),
        "retry_policy": RetryPolicy(initial_interval=seconds(0.05)),
    }


@scenario
async def results_and_failures(bed: Bed) -> None:
    equal(await bed.client.execute_activity(greet, "Ann", **options(bed)), "Hello, Ann!")
    equal(await bed.client.execute_activity(greet, "retry", **options(bed)), "Hello, retry!")
    async with raises(ActivityFailureError) as failed:
        await bed.client.execute_activity(greet, "fail", **options(bed))
    equal((failed.value.cause.message, failed.value.cause.type), ("no greeting", "Rude"))


@scenario
async def it_is_described_listed_and_ended(bed: Bed) -> None:
    given = options(bed)
    handle = await bed.client.start_activity(patient, **given)
    async with raises(ActivityAlreadyStartedError):
        await bed.client.start_activity(patient, **given)

    async def started() -> bool:
        return (await handle.describe()).last_started_time is not None

    await eventually("it is started", started)
    description = await handle.describe()
    equal((description.activity_type, description.status.name), ("patient", "RUNNING"))

    async def listed() -> bool:
        query = f"ActivityId = '{given['id']}'"
        return [one.activity_id async for one in bed.client.list_activities(query)] == [given["id"]]

    await eventually("it is listed", listed)
    await handle.cancel()
    async with raises(ActivityFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, CancelledError), failed.value.cause
    equal((await handle.describe()).status.name, "CANCELED")

    other = await bed.client.start_activity(patient, **options(bed))
    await other.terminate(reason="enough")
    async with raises(ActivityFailureError) as failed:
        await other.result()
    assert isinstance(failed.value.cause, TerminatedError), failed.value.cause
