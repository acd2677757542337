"""Child workflows: results, failures, cancellation in each way, parent close policies, ids, attributes, external messages."""

import asyncio

from harness import Bed, causes, equal, event_types, eventually, has_event, raises, scenario
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy


@workflow.defn
class Child:
    def __init__(self) -> None:
        self.messages: list[str] = []

    @workflow.run
    async def run(self, how: str) -> str:
        if how == "fail":
            raise ApplicationError("the child's", type="Child")
        if how == "again":
            workflow.continue_as_new("quick")
        if how in ("wait", "stubborn", "slow"):
            try:
                await workflow.wait_condition(lambda: "done" in self.messages)
            except asyncio.CancelledError:
                if how == "stubborn":
                    return "ended well"
                if how == "slow":
                    await workflow.sleep(1)
                raise
            return ",".join(self.messages)
        parent = workflow.info().parent
        return f"{how} of {parent.workflow_id if parent else None}"

    @workflow.signal
    def tell(self, text: str) -> None:
        self.messages.append(text)


@workflow.defn
class Parent:
    def __init__(self) -> None:
        self.stop = False

    @workflow.run
    async def run(self, how: str) -> str:
        return await workflow.execute_child_workflow(
            Child.run, how, id=f"{workflow.info().workflow_id}/child", memo={"a": 1}, static_summary="a summary"
        )


@workflow.defn
class Starter:
    """Starts a child, waits for a word, and then ends in the way that is asked for."""

    def __init__(self) -> None:
        self.word: str | None = None

    @workflow.run
    async def run(self, policy: int) -> str:
        await workflow.start_child_workflow(
            Child.run,
            "wait",
            id=f"{workflow.info().workflow_id}/child",
            parent_close_policy=ParentClosePolicy(policy),
        )
        await workflow.wait_condition(lambda: self.word is not None)
        if self.word == "fail":
            raise ApplicationError("as told")
        if self.word == "again":
            workflow.continue_as_new(policy)
        return "done"

    @workflow.signal
    def end(self, word: str) -> None:
        self.word = word


@workflow.defn
class Canceller:
    def __init__(self) -> None:
        self.stop = False

    @workflow.run
    async def run(self, kind: int, how: str) -> str:
        handle = await workflow.start_child_workflow(
            Child.run,
            how,
            id=f"{workflow.info().workflow_id}/child",
            cancellation_type=ChildWorkflowCancellationType(kind),
            parent_close_policy=ParentClosePolicy.ABANDON,
        )
        await workflow.wait_condition(lambda: self.stop)
        handle.cancel()
        try:
            return await handle
        except ChildWorkflowError as error:
            return type(error.cause).__name__

    @workflow.signal
    def cancel_it(self) -> None:
        self.stop = True


@workflow.defn
class Messenger:
    @workflow.run
    async def run(self, target: str, what: str) -> str:
        handle = workflow.get_external_workflow_handle(target)
        try:
            if what == "cancel":
                await handle.cancel()
            else:
                await handle.signal(Child.tell, what)
        except ApplicationError as error:
            return f"{error.type}: {error.message}"
        return "told"


@workflow.defn
class Twice:
    @workflow.run
    async def run(self) -> str:
        id = f"{workflow.info().workflow_id}/child"
        first = await workflow.start_child_workflow(Child.run, "wait", id=id)
        try:
            await workflow.start_child_workflow(Child.run, "wait", id=id)
        except WorkflowAlreadyStartedError as error:
            await first.signal(Child.tell, "done")
            await first
            return error.workflow_type or ""
        return "started twice"


@scenario
async def a_child_s_end_is_its_parent_s_event(bed: Bed) -> None:
    for how, expected in [("quick", "quick of {}"), ("again", "quick of {}")]:
        handle = await bed.client.start_workflow(Parent.run, how, id=bed.id(), task_queue=bed.queue)
        equal(await handle.result(), expected.format(handle.id))
        kinds = [kind for kind in await event_types(handle) if "CHILD" in kind]
        equal(
            kinds,
            [
                "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
                "CHILD_WORKFLOW_EXECUTION_STARTED",
                "CHILD_WORKFLOW_EXECUTION_COMPLETED",
            ],
        )
    child = await bed.client.get_workflow_handle(f"{handle.id}/child").describe()
    equal((child.parent_id, child.root_id), (handle.id, handle.id))
    equal(await child.memo_value("a"), 1)


@scenario
async def a_child_s_failure_reaches_its_parent(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Parent.run, "fail", id=bed.id(), task_queue=bed.queue)
    async with raises(WorkflowFailureError) as failed:
        await handle.result()
    equal(
        causes(failed.value.cause),
        ["ChildWorkflowError: Child Workflow execution failed", "ApplicationError: the child's"],
    )
    equal(failed.value.cause.workflow_id, f"{handle.id}/child")


@scenario
async def a_terminated_child_is_a_failure(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Parent.run, "wait", id=bed.id(), task_queue=bed.queue)
    await has_event(handle, "CHILD_WORKFLOW_EXECUTION_STARTED")
    await bed.client.get_workflow_handle(f"{handle.id}/child").terminate()
    async with raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause.cause, TerminatedError), failed.value.cause.cause


@scenario
async def every_parent_close_policy(bed: Bed) -> None:
    async def ends(policy: ParentClosePolicy, way: str) -> str:
        handle = await bed.client.start_workflow(Starter.run, int(policy), id=bed.id(), task_queue=bed.queue)
        await has_event(handle, "CHILD_WORKFLOW_EXECUTION_STARTED")
        child = bed.client.get_workflow_handle(f"{handle.id}/child")
        if way == "terminate":
            await handle.terminate()
        else:
            await handle.signal(Starter.end, way)
            try:
                await handle.result()
            except WorkflowFailureError:
                pass
        if policy == ParentClosePolicy.ABANDON:
            equal((await child.describe()).status.name, "RUNNING")
            await child.signal(Child.tell, "done")
        try:
            return str(await child.result())
        except WorkflowFailureError as error:
            return type(error.cause).__name__

    policies = ParentClosePolicy
    cases = [
        (policies.TERMINATE, "end", "TerminatedError"),
        (policies.TERMINATE, "terminate", "TerminatedError"),
        (policies.TERMINATE, "fail", "TerminatedError"),
        (policies.REQUEST_CANCEL, "end", "CancelledError"),
        (policies.REQUEST_CANCEL, "terminate", "CancelledError"),
        (policies.ABANDON, "end", "done"),
        (policies.ABANDON, "terminate", "done"),
    ]
    found = await asyncio.gather(*(ends(policy, way) for policy, way, _ in cases))
    equal(found, [expected for _, _, expected in cases])


@scenario
async def every_way_to_cancel_a_child(bed: Bed) -> None:
    async def ends(kind: ChildWorkflowCancellationType, how: str) -> tuple[str, list[str]]:
        handle = await bed.client.start_workflow(
            Canceller.run, args=[int(kind), how], id=bed.id(), task_queue=bed.queue
        )
        await has_event(handle, "CHILD_WORKFLOW_EXECUTION_STARTED")
        await has_event(bed.client.get_workflow_handle(f"{handle.id}/child"), "WORKFLOW_TASK_COMPLETED")
        await handle.signal(Canceller.cancel_it)
        result = await handle.result()
        kinds = [kind for kind in await event_types(handle) if "EXTERNAL" in kind or "CHILD" in kind]
        return result, kinds[2:]

    requested = "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED"
    taken = "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED"
    kinds = ChildWorkflowCancellationType
    result, events = await ends(kinds.ABANDON, "wait")
    equal((result, events), ("CancelledError", []))
    result, events = await ends(kinds.TRY_CANCEL, "wait")
    equal((result, events[:1]), ("CancelledError", [requested]))
    result, events = await ends(kinds.WAIT_CANCELLATION_REQUESTED, "slow")
    equal((result, events[:2]), ("CancelledError", [requested, taken]))
    result, events = await ends(kinds.WAIT_CANCELLATION_COMPLETED, "wait")
    equal((result, events), ("CancelledError", [requested, taken, "CHILD_WORKFLOW_EXECUTION_CANCELED"]))
    result, events = await ends(kinds.WAIT_CANCELLATION_COMPLETED, "stubborn")
    equal((result, events), ("ended well", [requested, taken, "CHILD_WORKFLOW_EXECUTION_COMPLETED"]))


@scenario
async def a_parent_s_cancellation_reaches_its_child(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Parent.run, "wait", id=bed.id(), task_queue=bed.queue)
    await has_event(handle, "CHILD_WORKFLOW_EXECUTION_STARTED")
    child = bed.client.get_workflow_handle(f"{handle.id}/child")
    await has_event(child, "WORKFLOW_TASK_COMPLETED")
    await handle.cancel()
    async with raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, CancelledError), failed.value.cause

    async def cancelled() -> bool:
        return (await child.describe()).status.name == "CANCELED"

    await eventually("the child is cancelled", cancelled)


@scenario
async def a_child_s_id_is_taken(bed: Bed) -> None:
    equal(await bed.client.execute_workflow(Twice.run, id=bed.id(), task_queue=bed.queue), "Child")


@scenario
async def messages_between_workflows(bed: Bed) -> None:
    async def send(target: str, what: str) -> str:
        return await bed.client.execute_workflow(
            Messenger.run, args=[target, what], id=bed.id(), task_queue=bed.queue
        )

    target = await bed.client.start_workflow(Child.run, "wait", id=bed.id(), task_queue=bed.queue)
    equal(await send(target.id, "hello"), "told")
    equal(await send(target.id, "done"), "told")
    equal(await target.result(), "hello,done")
    missing = await send("nobody", "hello")
    assert missing.startswith("SignalExternalWorkflowExecutionFailed") or "not found" in missing.lower(), missing
    other = await bed.client.start_workflow(Child.run, "wait", id=bed.id(), task_queue=bed.queue)
    equal(await send(other.id, "cancel"), "told")
    async with raises(WorkflowFailureError) as failed:
        await other.result()
    assert isinstance(failed.value.cause, CancelledError)


@scenario
async def many_children_side_by_side(bed: Bed) -> None:
    handle = await bed.client.start_workflow(Crowd.run, 15, id=bed.id(), task_queue=bed.queue)
    equal(await handle.result(), [f"{number} of {handle.id}" for number in range(15)])


@workflow.defn
class Crowd:
    @workflow.run
    async def run(self, count: int) -> list[str]:
        return list(
            await asyncio.gather(*(workflow.execute_child_workflow(Child.run, str(n)) for n in range(count)))
        )
