"""Updates: results, validators, failures, stages, repeated ids, closing workflows, update-with-start."""

import asyncio

from harness import Bed, causes, equal, event_types, has_event, raises, scenario
from temporalio import workflow
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode


@workflow.defn
class Account:
    def __init__(self) -> None:
        self.balance = 0
        self.closed = False
        self.released = False

    @workflow.run
    async def run(self, wait_for_handlers: bool) -> int:
        await workflow.wait_condition(
            lambda: self.closed and (not wait_for_handlers or workflow.all_handlers_finished())
        )
        return self.balance

    @workflow.update
    async def deposit(self, amount: int) -> int:
        self.balance += amount
        return self.balance

    @deposit.validator
    def check(self, amount: int) -> None:
        if amount <= 0:
            raise ValueError("a deposit is positive")

    @workflow.update
    async def slow(self) -> str:
        await workflow.wait_condition(lambda: self.released)
        return f"id {workflow.current_update_info().id}"  # type: ignore[union-attr]

    @workflow.update
    async def fails(self) -> None:
        await workflow.sleep(0.01)
        raise ApplicationError("overdrawn", 7, type="Overdrawn")

    @workflow.signal
    def release(self) -> None:
        self.released = True

    @workflow.signal
    def close(self) -> None:
        self.closed = True


async def account(bed: Bed, wait_for_handlers: bool = True):
    return await bed.client.start_workflow(
        Account.run, wait_for_handlers, id=bed.id(), task_queue=bed.queue
    )


@scenario
async def an_update_answers_and_is_in_the_history(bed: Bed) -> None:
    handle = await account(bed)
    equal(await handle.execute_update(Account.deposit, 5), 5)
    equal(await handle.execute_update(Account.deposit, 6), 11)
    await handle.signal(Account.close)
    equal(await handle.result(), 11)
    kinds = await event_types(handle)
    equal(kinds.count("WORKFLOW_EXECUTION_UPDATE_ACCEPTED"), 2)
    equal(kinds.count("WORKFLOW_EXECUTION_UPDATE_COMPLETED"), 2)


@scenario
async def a_rejected_update_leaves_no_trace(bed: Bed) -> None:
    handle = await account(bed)
    await has_event(handle, "WORKFLOW_TASK_COMPLETED")
    before = await event_types(handle)
    async with raises(WorkflowUpdateFailedError) as failed:
        await handle.execute_update(Account.deposit, -1)
    equal(causes(failed.value.cause), ["ApplicationError: a deposit is positive"])
    equal(await event_types(handle), before)
    equal(await handle.execute_update(Account.deposit, 1), 1)
    async with raises(WorkflowUpdateFailedError) as unknown:
        await handle.execute_update("nothing of the kind")
    assert "nothing of the kind" in str(unknown.value.cause), unknown.value.cause
    await handle.terminate()


@scenario
async def an_update_s_failure_arrives(bed: Bed) -> None:
    handle = await account(bed)
    async with raises(WorkflowUpdateFailedError) as failed:
        await handle.execute_update(Account.fails)
    cause = failed.value.cause
    equal((cause.message, cause.type, list(cause.details)), ("overdrawn", "Overdrawn", [7]))
    await handle.terminate()


@scenario
async def an_update_is_followed_by_its_id(bed: Bed) -> None:
    handle = await account(bed)
    update = await handle.start_update(Account.slow, id="u", wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    again = await handle.start_update(Account.slow, id="u", wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    waiting = asyncio.create_task(handle.get_update_handle("u", result_type=str).result())
    await handle.signal(Account.release)
    equal([await update.result(), await again.result(), await waiting], ["id u"] * 3)
    # The same id again is the same update, also when it has ended.
    equal(await handle.execute_update(Account.slow, id="u"), "id u")
    equal((await event_types(handle)).count("WORKFLOW_EXECUTION_UPDATE_ACCEPTED"), 1)
    async with raises(RPCError) as missing:
        await handle.get_update_handle("unheard of").result()
    equal(missing.value.status, RPCStatusCode.NOT_FOUND)
    await handle.terminate()


@scenario
async def a_closing_workflow_fails_its_updates(bed: Bed) -> None:
    handle = await account(bed, wait_for_handlers=False)
    update = await handle.start_update(Account.slow, wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    await handle.signal(Account.close)
    await handle.result()
    async with raises(WorkflowUpdateFailedError) as failed:
        await update.result()
    equal(failed.value.cause.type, "AcceptedUpdateCompletedWorkflow")
    async with raises(RPCError) as late:
        await handle.execute_update(Account.deposit, 1)
    equal(late.value.status, RPCStatusCode.NOT_FOUND)


@scenario
async def many_updates_side_by_side(bed: Bed) -> None:
    handle = await account(bed)
    answers = await asyncio.gather(*(handle.execute_update(Account.deposit, 1) for _ in range(20)))
    equal(sorted(answers), list(range(1, 21)))
    await handle.terminate()


@scenario
async def updates_wait_for_a_worker(bed: Bed) -> None:
    queue = f"{bed.queue}-late"
    handle = await bed.client.start_workflow(Account.run, True, id=bed.id(), task_queue=queue)
    waiting = asyncio.create_task(handle.execute_update(Account.deposit, 3))
    async with bed.worker(queue=queue):
        equal(await waiting, 3)
        await handle.signal(Account.close)
        equal(await handle.result(), 3)


@scenario
async def update_with_start(bed: Bed) -> None:
    id = bed.id()

    def operation(policy: WorkflowIDConflictPolicy) -> WithStartWorkflowOperation:
        return WithStartWorkflowOperation(
            Account.run, True, id=id, task_queue=bed.queue, id_conflict_policy=policy
        )

    first = operation(WorkflowIDConflictPolicy.FAIL)
    answer = await bed.client.execute_update_with_start_workflow(
        Account.deposit, 2, start_workflow_operation=first
    )
    equal(answer, 2)
    second = operation(WorkflowIDConflictPolicy.USE_EXISTING)
    answer = await bed.client.execute_update_with_start_workflow(
        Account.deposit, 3, start_workflow_operation=second
    )
    equal(answer, 5)
    handle = await first.workflow_handle()
    equal((await second.workflow_handle()).first_execution_run_id, handle.first_execution_run_id)
    async with raises(WorkflowAlreadyStartedError):
        await bed.client.execute_update_with_start_workflow(
            Account.deposit, 4, start_workflow_operation=operation(WorkflowIDConflictPolicy.FAIL)
        )
    rejected = operation(WorkflowIDConflictPolicy.USE_EXISTING)
    async with raises(WorkflowUpdateFailedError):
        await bed.client.execute_update_with_start_workflow(
            Account.deposit, -4, start_workflow_operation=rejected
        )
    await handle.terminate()
