"""What operators see and do: batch operations, task queues with their pollers and backlogs."""

import uuid

from harness import Bed, equal, eventually, scenario, seconds
from temporalio import activity, workflow
from temporalio.api.batch.v1 import BatchOperationSignal, BatchOperationTermination
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import BatchOperationState, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeTaskQueueRequest,
    StartBatchOperationRequest,
)
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import TerminatedError
from temporalio.service import RPCError, RPCStatusCode


@activity.defn
async def nothing() -> None:
    pass


@workflow.defn
class Waits:
    def __init__(self) -> None:
        self.heard: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: len(self.heard) > 0)
        return self.heard

    @workflow.signal
    def tell(self, text: str) -> None:
        self.heard.append(text)


async def through(bed: Bed, query: str, count: int, **operation) -> None:
    """Starts a batch operation on so many workflows, and waits until it is through."""

    async def listed() -> bool:
        return (await bed.client.count_workflows(query)).count == count

    await eventually("all are listed", listed)
    job = str(uuid.uuid4())
    service = bed.client.workflow_service

    async def is_started() -> bool:
        request = StartBatchOperationRequest(
            namespace=bed.client.namespace, visibility_query=query, job_id=job, reason="a test", **operation
        )
        try:
            await service.start_batch_operation(request)
        except RPCError as error:
            # The real server has one at a time.
            equal(error.status, RPCStatusCode.RESOURCE_EXHAUSTED)
            return False
        return True

    await eventually("the operation starts", is_started)

    async def is_through() -> bool:
        request = DescribeBatchOperationRequest(namespace=bed.client.namespace, job_id=job)
        found = await service.describe_batch_operation(request)
        if found.state != BatchOperationState.BATCH_OPERATION_STATE_COMPLETED:
            return False
        equal((found.complete_operation_count, found.failure_operation_count, found.reason), (count, 0, "a test"))
        return True

    await eventually("the operation is through", is_through)


@scenario
async def many_workflows_are_signalled_at_once(bed: Bed) -> None:
    prefix = bed.id()
    handles = [
        await bed.client.start_workflow(Waits.run, id=f"{prefix}-{number}", task_queue=bed.queue) for number in range(5)
    ]
    signal = BatchOperationSignal(signal="tell", input=Payloads(payloads=await bed.client.data_converter.encode(["all of you"])))
    await through(bed, f"WorkflowId STARTS_WITH '{prefix}'", 5, signal_operation=signal)
    for handle in handles:
        equal(await handle.result(), ["all of you"])


@scenario
async def many_workflows_are_ended_at_once(bed: Bed) -> None:
    prefix = bed.id()
    handles = [
        await bed.client.start_workflow(Waits.run, id=f"{prefix}-{number}", task_queue=bed.queue) for number in range(5)
    ]
    await through(
        bed, f"WorkflowId STARTS_WITH '{prefix}'", 5, termination_operation=BatchOperationTermination(identity="we")
    )
    for handle in handles:
        try:
            await handle.result()
        except WorkflowFailureError as error:
            assert isinstance(error.cause, TerminatedError), error
        else:
            raise AssertionError("it was ended")


@scenario
async def a_task_queue_tells_of_its_pollers_and_its_backlog(bed: Bed) -> None:
    async def polled() -> bool:
        for kind in [TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY]:
            request = DescribeTaskQueueRequest(
                namespace=bed.client.namespace, task_queue=TaskQueue(name=bed.queue), task_queue_type=kind
            )
            found = await bed.client.workflow_service.describe_task_queue(request)
            if not any("@" in poller.identity for poller in found.pollers):
                return False
        return True

    await eventually("both kinds of tasks are polled for", polled)
    unpolled = bed.id()
    for _ in range(3):
        await bed.client.start_workflow(
            Waits.run, id=bed.id(), task_queue=unpolled, execution_timeout=seconds(100)
        )

    async def waits() -> bool:
        request = DescribeTaskQueueRequest(
            namespace=bed.client.namespace,
            task_queue=TaskQueue(name=unpolled),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            report_stats=True,
        )
        found = await bed.client.workflow_service.describe_task_queue(request)
        return found.stats.approximate_backlog_count == 3 and not found.pollers

    await eventually("three tasks wait", waits)
