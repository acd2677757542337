"""Signals and queries: to running and closed workflows, unknown ones, dynamic handlers, failing ones."""

from collections.abc import Sequence

from harness import Bed, equal, event_types, raises, scenario
from temporalio import workflow
from temporalio.client import WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.common import QueryRejectCondition, RawValue, WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode


@workflow.defn
class Inbox:
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.closed = False

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: self.closed and workflow.all_handlers_finished())
        return self.seen

    @workflow.signal
    async def add(self, text: str, number: int) -> None:
        await workflow.sleep(0.01)
        self.seen.append(f"{text}{number}")

    @workflow.signal
    def close(self) -> None:
        self.closed = True

    @workflow.signal(dynamic=True)
    def other(self, name: str, arguments: Sequence[RawValue]) -> None:
        self.seen.append(f"{name}/{len(arguments)}")

    @workflow.query
    def count(self) -> int:
        return len(self.seen)

    @workflow.query
    def broken(self, why: str) -> int:
        raise ValueError(why)


async def start(bed: Bed, **options):
    return await bed.client.start_workflow(Inbox.run, id=bed.id(), task_queue=bed.queue, **options)


@scenario
async def signals_arrive_in_order(bed: Bed) -> None:
    handle = await start(bed)
    for number in range(20):
        await handle.signal(Inbox.add, args=["a", number])
    await handle.signal(Inbox.close)
    equal(await handle.result(), [f"a{number}" for number in range(20)])
    equal((await event_types(handle)).count("WORKFLOW_EXECUTION_SIGNALED"), 21)


@scenario
async def a_dynamic_handler_takes_the_rest(bed: Bed) -> None:
    handle = await start(bed)
    await handle.signal("unheard of", args=[1, 2])
    await handle.signal(Inbox.close)
    equal(await handle.result(), ["unheard of/2"])


@scenario
async def queries_see_all_that_was_acknowledged(bed: Bed) -> None:
    handle = await start(bed)
    for number in range(5):
        await handle.signal("quick")
        equal(await handle.query(Inbox.count), number + 1)
    await handle.signal(Inbox.close)
    await handle.result()
    equal(await handle.query(Inbox.count), 5)
    equal("WORKFLOW_TASK_FAILED" in await event_types(handle), False)


@scenario
async def queries_fail_with_their_reason(bed: Bed) -> None:
    handle = await start(bed)
    async with raises(WorkflowQueryFailedError) as failed:
        await handle.query(Inbox.broken, "out of order")
    assert "out of order" in str(failed.value), failed.value
    async with raises(WorkflowQueryFailedError) as unknown:
        await handle.query("nothing of the kind")
    assert "nothing of the kind" in str(unknown.value), unknown.value
    await handle.signal(Inbox.close)
    await handle.result()
    async with raises(WorkflowQueryRejectedError) as rejected:
        await handle.query(Inbox.count, reject_condition=QueryRejectCondition.NOT_OPEN)
    equal(rejected.value.status.name, "COMPLETED")


@scenario
async def the_stack_trace_is_a_query(bed: Bed) -> None:
    handle = await start(bed)
    trace = await handle.query("__stack_trace")
    assert "run (workflow: Inbox" in trace, trace
    metadata = await handle.query("__temporal_workflow_metadata")
    equal(metadata.definition.type, "Inbox")
    await handle.terminate()


@scenario
async def signal_with_start_starts_once(bed: Bed) -> None:
    id = bed.id()
    for number in range(2):
        handle = await bed.client.start_workflow(
            Inbox.run,
            id=id,
            task_queue=bed.queue,
            start_signal="add",
            start_signal_args=["s", number],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
    await handle.signal(Inbox.close)
    equal(await handle.result(), ["s0", "s1"])
    kinds = await event_types(handle)
    equal(kinds[:2], ["WORKFLOW_EXECUTION_STARTED", "WORKFLOW_EXECUTION_SIGNALED"])


@scenario
async def nobody_there(bed: Bed) -> None:
    handle = bed.client.get_workflow_handle("nobody")
    for call in [
        handle.signal("x"),
        handle.query("x"),
        handle.describe(),
        handle.cancel(),
        handle.terminate(),
        handle.result(),
    ]:
        async with raises(RPCError) as missing:
            await call
        equal(missing.value.status, RPCStatusCode.NOT_FOUND)
    closed = await start(bed)
    await closed.terminate()
    async with raises(RPCError) as late:
        await closed.signal(Inbox.close)
    equal(late.value.status, RPCStatusCode.NOT_FOUND)
    equal(late.value.message, "workflow execution already completed")
