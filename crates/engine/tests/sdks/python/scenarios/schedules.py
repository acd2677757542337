"""Schedules: made, described, triggered, filled back, paused, changed, listed and deleted; what their workflows know."""

import dataclasses
from datetime import datetime, timedelta, timezone
from typing import Any

from harness import Bed, equal, eventually, raises, scenario, seconds
from temporalio import workflow
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleBackfill,
    ScheduleCalendarSpec,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode


@workflow.defn
class Scheduled:
    @workflow.run
    async def run(self, text: str) -> str:
        return text


@workflow.defn
class Adds:
    """Adds a letter to what the run before it answered; the second run fails."""

    @workflow.run
    async def run(self) -> str:
        last = workflow.get_last_completion_result(str)
        if last == "a" and not workflow.get_last_failure():
            raise ApplicationError("the second", non_retryable=True)
        told = "!" if workflow.get_last_failure() else ""
        return f"{last or ''}a{told}"


@workflow.defn
class Stays:
    def __init__(self) -> None:
        self.is_done = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.is_done)

    @workflow.signal
    def finish(self) -> None:
        self.is_done = True


NIGHTLY = ScheduleSpec(calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(3)], comment="at night")])


def starts(bed: Bed, run: Any = Scheduled.run, *args: Any, **options: Any) -> ScheduleActionStartWorkflow:
    return ScheduleActionStartWorkflow(run, args=list(args), id=bed.id(), task_queue=bed.queue, **options)


async def create(bed: Bed, action: ScheduleActionStartWorkflow, **options: Any) -> ScheduleHandle:
    made = {name: options.pop(name) for name in ("policy", "state") if name in options}
    schedule = Schedule(action=action, spec=options.pop("spec", NIGHTLY), **made)
    return await bed.client.create_schedule(bed.id(), schedule, **options)


async def actions(bed: Bed, handle: ScheduleHandle, count: int) -> list[WorkflowHandle[Any, Any]]:
    """The runs of the recent actions, once there are so many. Those of one second share their workflow id."""

    async def look() -> list[WorkflowHandle[Any, Any]] | None:
        recent = [each.action for each in (await handle.describe()).info.recent_actions]
        if len(recent) < count:
            return None
        ids = ((each.workflow_id, each.first_execution_run_id) for each in recent)
        return [bed.client.get_workflow_handle(workflow_id, run_id=run_id) for workflow_id, run_id in ids]

    return await eventually(f"{count} actions", look)


@scenario
async def what_was_created_is_described(bed: Bed) -> None:
    handle = await create(
        bed,
        starts(bed, Scheduled.run, "hello", execution_timeout=seconds(60), memo={"of": "the workflow"}),
        spec=ScheduleSpec(
            calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(1, 9, 2)], day_of_week=[ScheduleRange(1, 5)])],
            intervals=[ScheduleIntervalSpec(every=timedelta(hours=1), offset=timedelta(minutes=5))],
            cron_expressions=["30 4 * * *"],
            skip=[ScheduleCalendarSpec(month=[ScheduleRange(12)])],
            start_at=datetime(2030, 1, 1, tzinfo=timezone.utc),
            end_at=datetime(2031, 1, 1, tzinfo=timezone.utc),
            jitter=timedelta(seconds=2),
            time_zone_name="Europe/Vienna",
        ),
        policy=SchedulePolicy(ScheduleOverlapPolicy.BUFFER_ONE, timedelta(hours=2), pause_on_failure=True),
        state=ScheduleState(note="not yet", paused=True, limited_actions=True, remaining_actions=7),
        memo={"who": "we"},
    )
    found = await handle.describe()
    equal(found.id, handle.id)
    equal(found.schedule.policy, SchedulePolicy(ScheduleOverlapPolicy.BUFFER_ONE, timedelta(hours=2), True))
    equal(found.schedule.state, ScheduleState("not yet", True, True, 7))
    spec = found.schedule.spec
    equal([each.hour[0] for each in spec.calendars], [ScheduleRange(1, 9, 2), ScheduleRange(4, 4, 1)])
    equal(spec.cron_expressions, [])
    equal(spec.intervals, [ScheduleIntervalSpec(timedelta(hours=1), timedelta(minutes=5))])
    equal((spec.jitter, spec.time_zone_name), (timedelta(seconds=2), "Europe/Vienna"))
    equal((spec.start_at, spec.end_at and spec.end_at.year), (datetime(2030, 1, 1, tzinfo=timezone.utc), 2031))
    equal(await found.memo(), {"who": "we"})
    action = found.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    equal((action.workflow, action.execution_timeout, action.task_queue), ("Scheduled", seconds(60), bed.queue))
    assert found.info.next_action_times[0] >= datetime(2030, 1, 1, tzinfo=timezone.utc)
    await handle.delete()


@scenario
async def a_trigger_starts_its_workflow(bed: Bed) -> None:
    handle = await create(bed, starts(bed, Scheduled.run, "hello"))
    await handle.trigger()
    [run] = await actions(bed, handle, 1)
    equal(await run.result(), "hello")
    attributes = (await run.describe()).search_attributes
    equal(attributes["TemporalScheduledById"], [handle.id])
    equal((await handle.describe()).info.num_actions, 1)
    await handle.delete()


@scenario
async def it_is_filled_back(bed: Bed) -> None:
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)
    days = lambda count: start + timedelta(days=count)  # noqa: E731
    allow = ScheduleOverlapPolicy.ALLOW_ALL
    handle = await create(
        bed,
        starts(bed, Scheduled.run, "then"),
        backfill=[ScheduleBackfill(start, days(2), overlap=allow)],
        trigger_immediately=True,
    )
    ids = [run.id for run in await actions(bed, handle, 3)]
    equal(sorted(each[-20:] for each in ids if "03:00:00" in each), ["2024-01-01T03:00:00Z", "2024-01-02T03:00:00Z"])
    await handle.backfill(
        ScheduleBackfill(days(10), days(11), overlap=allow), ScheduleBackfill(days(20), days(22), overlap=allow)
    )
    await actions(bed, handle, 6)
    await handle.delete()


@scenario
async def each_workflow_knows_the_last_result_and_failure(bed: Bed) -> None:
    handle = await create(bed, starts(bed, Adds.run))
    told = []
    for count in (1, 2, 3):
        await handle.trigger(overlap=ScheduleOverlapPolicy.SKIP)
        runs = await actions(bed, handle, count)

        async def nothing_runs() -> bool:
            return not (await handle.describe()).info.running_actions

        await eventually("nothing runs", nothing_runs)
        try:
            told.append(await runs[-1].result())
        except WorkflowFailureError as error:
            told.append(str(error.cause))
    equal(told, ["a", "the second", "aa!"])
    await handle.delete()


@scenario
async def it_pauses_after_a_failure(bed: Bed) -> None:
    handle = await create(bed, starts(bed, "nobody knows it", execution_timeout=seconds(1)), policy=SchedulePolicy(pause_on_failure=True))
    await handle.trigger(overlap=ScheduleOverlapPolicy.SKIP)

    async def note() -> str | None:
        state = (await handle.describe()).schedule.state
        return state.note if state.paused else None

    assert "timeout" in await eventually("it is paused", note)
    await handle.unpause(note="once more")

    async def unpaused() -> bool:
        state = (await handle.describe()).schedule.state
        return not state.paused and state.note == "once more"

    await eventually("it is not paused", unpaused)
    await handle.delete()


@scenario
async def an_update_may_change_all_or_nothing(bed: Bed) -> None:
    handle = await create(bed, starts(bed, Scheduled.run, "before"))
    before = await handle.describe()
    await handle.update(lambda _: None)
    equal((await handle.describe()).info.last_updated_at, before.info.last_updated_at)

    async def change(given: ScheduleUpdateInput) -> ScheduleUpdate:
        schedule = given.description.schedule
        assert isinstance(schedule.action, ScheduleActionStartWorkflow)
        schedule.action.args = ["after"]
        schedule.spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(timedelta(days=1))])
        schedule.state = dataclasses.replace(schedule.state, note="changed")
        return ScheduleUpdate(schedule)

    await handle.update(change)

    async def changed() -> bool:
        return (await handle.describe()).schedule.state.note == "changed"

    await eventually("it is changed", changed)
    await handle.trigger()
    [run] = await actions(bed, handle, 1)
    equal(await run.result(), "after")
    await handle.delete()


@scenario
async def what_overlaps(bed: Bed) -> None:
    handle = await create(bed, starts(bed, Stays.run))
    await handle.trigger(overlap=ScheduleOverlapPolicy.SKIP)
    [first] = await actions(bed, handle, 1)
    await handle.trigger(overlap=ScheduleOverlapPolicy.SKIP)

    async def skipped() -> bool:
        return (await handle.describe()).info.num_actions_skipped_overlap == 1

    await eventually("one is skipped", skipped)
    await handle.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ONE)
    await first.signal(Stays.finish)
    second = (await actions(bed, handle, 2))[-1]
    await handle.trigger(overlap=ScheduleOverlapPolicy.TERMINATE_OTHER)
    third = (await actions(bed, handle, 3))[-1]
    statuses = [(await each.describe()).status for each in (first, second, third)]
    equal([status and status.name for status in statuses], ["COMPLETED", "TERMINATED", "RUNNING"])
    await third.terminate()
    await handle.delete()


@scenario
async def it_is_listed_until_it_is_deleted(bed: Bed) -> None:
    handle = await create(
        bed, starts(bed, Scheduled.run, "x"), memo={"listed": True}, state=ScheduleState(paused=True, note="in a list")
    )
    again = Schedule(action=starts(bed, Scheduled.run, "x"), spec=NIGHTLY)
    async with raises(ScheduleAlreadyRunningError):
        await bed.client.create_schedule(handle.id, again)

    async def listed() -> Any:
        async for each in await bed.client.list_schedules(page_size=1):
            if each.id == handle.id:
                return each
        return None

    found = await eventually("it is listed", listed)
    equal((found.schedule.state.paused, found.schedule.state.note), (True, "in a list"))
    equal(await found.memo_value("listed"), True)
    equal(found.schedule.action.workflow, "Scheduled")
    await handle.delete()
    for call in (handle.describe, handle.trigger, handle.pause, handle.delete):
        async with raises(RPCError) as error:
            await call()
        equal(error.value.status, RPCStatusCode.NOT_FOUND)

    async def gone() -> bool:
        return await listed() is None

    await eventually("it is listed no more", gone)
