"""Timers: fired, cancelled, raced, and many at once."""

import asyncio

from harness import Bed, equal, event_types, scenario, seconds
from temporalio import workflow


@workflow.defn
class Race:
    @workflow.run
    async def run(self) -> str:
        slow = asyncio.create_task(asyncio.sleep(3600))
        quick = asyncio.create_task(asyncio.sleep(0.05))
        done, _ = await workflow.wait([slow, quick], return_when=asyncio.FIRST_COMPLETED)
        slow.cancel()
        return "quick" if quick in done else "slow"


@workflow.defn
class Many:
    @workflow.run
    async def run(self, count: int) -> list[int]:
        order: list[int] = []

        async def one(number: int) -> None:
            await workflow.sleep(0.05 + 0.05 * (count - number), summary=f"timer {number}")
            order.append(number)

        await asyncio.gather(*(one(number) for number in range(count)))
        return order


@workflow.defn
class Condition:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.wait_condition(lambda: False, timeout=seconds(0.1))
        except asyncio.TimeoutError:
            return f"{(workflow.now() - workflow.info().start_time).total_seconds() >= 0.1}"
        return "met"


@scenario
async def the_first_wins_and_the_other_is_cancelled(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Race.run, id=bed.id(), task_queue=bed.queue)
    equal(await handle.result(), "quick")
    kinds = await event_types(handle)
    timers = [kind for kind in kinds if kind.startswith("TIMER")]
    equal(timers, ["TIMER_STARTED", "TIMER_STARTED", "TIMER_FIRED", "TIMER_CANCELED"])


@scenario
async def many_fire_in_the_order_of_their_times(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Many.run, 8, id=bed.id(), task_queue=bed.queue)
    equal(await handle.result(), list(reversed(range(8))))
    kinds = await event_types(handle)
    equal((kinds.count("TIMER_STARTED"), kinds.count("TIMER_FIRED")), (8, 8))
    events = [event async for event in handle.fetch_history_events()]
    summaries = [event.user_metadata.summary.data for event in events if event.HasField("user_metadata")]
    equal(sorted(summaries), [f'"timer {number}"'.encode() for number in range(8)])


@scenario
async def a_condition_times_out_by_the_workflow_s_clock(bed: Bed) -> None:
    equal(await bed.client.execute_workflow(Condition.run, id=bed.id(), task_queue=bed.queue), "True")
