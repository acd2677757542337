"""Activities: results, retries, time-outs, heartbeats, and how their failures arrive."""

import asyncio
from dataclasses import dataclass
from typing import Any

from harness import Bed, causes, equal, event_types, pending_activity, raises, scenario, seconds
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError


@dataclass
class Greeting:
    """An input with a shape."""

    greeting: str
    names: list[str]


@activity.defn
async def greet(greeting: Greeting) -> str:
    return f"{greeting.greeting}, {' and '.join(greeting.names)}!"


@activity.defn
def greet_in_a_thread(name: str) -> dict:
    return {"name": name, "queue": activity.info().task_queue}


@activity.defn
async def third_time_lucky() -> int:
    if activity.info().attempt < 3:
        raise ApplicationError("not yet", type="Early")
    return activity.info().attempt


@activity.defn
async def resume() -> list:
    """Fails after a heartbeat; the next attempt knows what that said."""
    if activity.info().attempt == 1:
        activity.heartbeat("half", 50)
        raise ApplicationError("in the middle")
    return list(activity.info().heartbeat_details)


@activity.defn
async def fail(how: str) -> None:
    if how == "soon":
        raise ApplicationError("come back", next_retry_delay=seconds(0.05))
    if how == "final":
        raise ApplicationError("no use", {"code": 7}, type="Final", non_retryable=True)
    try:
        raise ValueError("the ground")
    except ValueError as error:
        raise ApplicationError("the top", type="Nested") from error


@activity.defn
async def sleep_silently(for_seconds: float) -> str:
    await asyncio.sleep(for_seconds)
    return "slept"


@workflow.defn
class Greetings:
    @workflow.run
    async def run(self, input: Greeting) -> list:
        options = {"start_to_close_timeout": seconds(30)}
        together = await workflow.execute_activity(greet, input, **options)
        each = await asyncio.gather(
            *(workflow.execute_activity("greet", Greeting(input.greeting, [name]), **options) for name in input.names)
        )
        threaded = await workflow.execute_activity(greet_in_a_thread, input.names[0], **options)
        return [together, *each, threaded]


@workflow.defn
class Call:
    """Calls one activity without an argument."""

    @workflow.run
    async def run(self, name: str, attempts: int) -> Any:
        policy = RetryPolicy(initial_interval=seconds(0.05), maximum_attempts=attempts)
        return await workflow.execute_activity(name, start_to_close_timeout=seconds(30), retry_policy=policy)


@workflow.defn
class Failing:
    @workflow.run
    async def run(self, how: str, attempts: int, non_retryable: list[str]) -> None:
        policy = RetryPolicy(
            initial_interval=seconds(0.05) if how != "soon" else seconds(60),
            maximum_attempts=attempts,
            non_retryable_error_types=non_retryable,
        )
        await workflow.execute_activity(fail, how, start_to_close_timeout=seconds(30), retry_policy=policy)


@workflow.defn
class Slow:
    @workflow.run
    async def run(self, which: str) -> str:
        options: dict = {
            "start_to_close": {"start_to_close_timeout": seconds(0.5)},
            "heartbeat": {"start_to_close_timeout": seconds(30), "heartbeat_timeout": seconds(0.5)},
            "schedule_to_close": {"schedule_to_close_timeout": seconds(0.5), "start_to_close_timeout": seconds(30)},
            "schedule_to_start": {
                "schedule_to_start_timeout": seconds(0.5),
                "start_to_close_timeout": seconds(30),
                "task_queue": "nobody",
            },
        }[which]
        once = RetryPolicy(maximum_attempts=1)
        try:
            return await workflow.execute_activity(sleep_silently, 3, retry_policy=once, **options)
        except ActivityError as error:
            assert isinstance(error.cause, TimeoutError)
            assert error.cause.type is not None
            return f"{error.cause.type.name} {error.retry_state.name if error.retry_state else None}"


@scenario
async def results_come_back(bed: Bed) -> None:
    input = Greeting("Hello", ["Ann", "Bob"])
    result = await bed.client.execute_workflow(Greetings.run, input, id=bed.id(), task_queue=bed.queue)
    equal(result, ["Hello, Ann and Bob!", "Hello, Ann!", "Hello, Bob!", {"name": "Ann", "queue": bed.queue}])


@scenario
async def retries_go_on_until_it_works(bed: Bed) -> None:
    handle = await bed.client.start_workflow(
        Call.run, args=["third_time_lucky", 0], id=bed.id(), task_queue=bed.queue
    )
    equal(await handle.result(), 3)
    kinds = await event_types(handle)
    equal(kinds.count("ACTIVITY_TASK_STARTED"), 1)
    events = [event async for event in handle.fetch_history_events()]
    started = next(event for event in events if event.HasField("activity_task_started_event_attributes"))
    equal(started.activity_task_started_event_attributes.attempt, 3)
    equal(started.activity_task_started_event_attributes.last_failure.message, "not yet")


@scenario
async def heartbeat_details_reach_the_next_attempt(bed: Bed) -> None:
    result = await bed.client.execute_workflow(Call.run, args=["resume", 0], id=bed.id(), task_queue=bed.queue)
    equal(result, ["half", 50])


@scenario
async def failures_arrive_with_their_causes(bed: Bed) -> None:
    for how, attempts, types, chain in [
        ("nested", 2, [], ["ApplicationError: the top", "ApplicationError: the ground"]),
        ("final", 0, [], ["ApplicationError: no use"]),
        ("nested", 0, ["Nested"], ["ApplicationError: the top", "ApplicationError: the ground"]),
        ("soon", 2, [], ["ApplicationError: come back"]),
    ]:
        handle = await bed.client.start_workflow(
            Failing.run, args=[how, attempts, types], id=bed.id(), task_queue=bed.queue
        )
        async with raises(WorkflowFailureError) as failed:
            await handle.result()
        error = failed.value.__cause__
        equal(causes(error), ["ActivityError: Activity task failed", *chain])
        equal(error.activity_type, "fail")
        expected = "NON_RETRYABLE_FAILURE" if attempts == 0 else "MAXIMUM_ATTEMPTS_REACHED"
        equal(error.retry_state.name, expected)
        if how == "final":
            equal((error.__cause__.type, list(error.__cause__.details)), ("Final", [{"code": 7}]))


@scenario
async def every_time_out_is_told_by_its_name(bed: Bed) -> None:
    async def ends(which: str) -> str:
        return await bed.client.execute_workflow(Slow.run, which, id=bed.id(), task_queue=bed.queue)

    names = ["start_to_close", "heartbeat", "schedule_to_close", "schedule_to_start"]
    found = dict(zip(names, await asyncio.gather(*(ends(name) for name in names))))
    equal(
        found,
        {
            "start_to_close": "START_TO_CLOSE MAXIMUM_ATTEMPTS_REACHED",
            "heartbeat": "HEARTBEAT MAXIMUM_ATTEMPTS_REACHED",
            "schedule_to_close": "SCHEDULE_TO_CLOSE TIMEOUT",
            "schedule_to_start": "SCHEDULE_TO_START TIMEOUT",
        },
    )


@scenario
async def a_pending_activity_is_described(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Slow.run, "heartbeat", id=bed.id(), task_queue=bed.queue)
    pending = await pending_activity(handle)
    equal(pending.activity_type.name, "sleep_silently")
    equal(pending.attempt, 1)
    equal(pending.maximum_attempts, 1)
    await handle.result()
