"""Histories: long ones in pages, large payloads, replays, and code that has changed since."""

from harness import Bed, equal, event_types, raises, runner, scenario, seconds
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError, WorkflowHistory
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

MEBIBYTE = 1024 * 1024


@activity.defn
async def echo(data: bytes) -> bytes:
    return data


@workflow.defn
class Long:
    def __init__(self) -> None:
        self.seen = 0

    @workflow.run
    async def run(self, count: int) -> int:
        await workflow.wait_condition(lambda: self.seen >= count)
        return workflow.info().get_current_history_length()

    @workflow.signal
    def one(self, text: str) -> None:
        self.seen += 1


@workflow.defn
class Large:
    @workflow.run
    async def run(self, data: bytes) -> bytes:
        return await workflow.execute_activity(echo, data, start_to_close_timeout=seconds(30))


@workflow.defn(name="Changed")
class Before:
    @workflow.run
    async def run(self) -> list[str]:
        await workflow.sleep(0.02)
        return ["before"]


@workflow.defn(name="Changed")
class After:
    @workflow.run
    async def run(self) -> list[str]:
        seen = []
        if workflow.patched("change"):
            seen.append(str(workflow.random().random() < 2))
            seen.append(str(len(str(workflow.uuid4()))))
        await workflow.sleep(0.02)
        return [*seen, "after"]


@workflow.defn(name="Changed")
class Broken:
    @workflow.run
    async def run(self) -> list[str]:
        await workflow.execute_activity(echo, b"", start_to_close_timeout=seconds(30))
        return ["broken"]


@workflow.defn
class LongMessage:
    @workflow.run
    async def run(self) -> None:
        raise ApplicationError("x" * 9_000, type="Long", non_retryable=True)


@scenario
async def long_histories_come_in_pages(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Long.run, 300, id=bed.id(), task_queue=f"{bed.queue}-long")
    for _ in range(300):
        await handle.signal(Long.one, "x" * 100)
    async with bed.worker(queue=f"{bed.queue}-long", workflows=[Long]):
        assert await handle.result() > 300
    whole = [event.event_id async for event in handle.fetch_history_events()]
    paged = [event.event_id async for event in handle.fetch_history_events(page_size=50)]
    equal(paged, whole)
    equal(whole, list(range(1, len(whole) + 1)))


@scenario
async def payloads_up_to_the_limit(bed: Bed) -> None:
    data = bytes(range(256)) * (3 * MEBIBYTE // 1024)
    handle = await bed.client.start_workflow(Large.run, data, id=bed.id(), task_queue=bed.queue)
    assert await handle.result() == data
    async with raises(RPCError) as too_large:
        await bed.client.start_workflow(Large.run, bytes(3 * MEBIBYTE), id=bed.id(), task_queue=bed.queue)
    equal(too_large.value.status, RPCStatusCode.INVALID_ARGUMENT)


@scenario
async def a_history_is_replayed_from_json(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Large.run, b"abc", id=bed.id(), task_queue=bed.queue)
    await handle.result()
    history = await handle.fetch_history()
    again = WorkflowHistory.from_json(handle.id, history.to_json())
    replayer = Replayer(workflows=[Large], workflow_runner=runner())
    equal((await replayer.replay_workflow(again)).replay_failure, None)


@scenario
async def code_changes_by_patches(bed: Bed) -> None:
    queue = f"{bed.queue}-changed"
    async with bed.worker(queue=queue, workflows=[Before]):
        old = await bed.client.start_workflow("Changed", id=bed.id(), task_queue=queue)
        equal(await old.result(), ["before"])
    async with bed.worker(queue=queue, workflows=[After]):
        new = await bed.client.start_workflow("Changed", id=bed.id(), task_queue=queue)
        equal(await new.result(), ["True", "36", "after"])
    kinds = await event_types(new)
    assert "MARKER_RECORDED" in kinds and "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES" in kinds, kinds
    patched = Replayer(workflows=[After], workflow_runner=runner())
    for handle in [old, new]:
        await patched.replay_workflow(await handle.fetch_history())
    async with raises(NondeterminismError):
        broken = Replayer(workflows=[Broken], workflow_runner=runner())
        await broken.replay_workflow(await old.fetch_history())


@scenario
async def a_long_message_arrives(bed: Bed) -> None:
    handle = await bed.client.start_workflow(LongMessage.run, id=bed.id(), task_queue=bed.queue)
    async with raises(WorkflowFailureError) as failed:
        await handle.result()
    equal(len(failed.value.cause.message), 9_000)
