"""What is larger than a message or an event may be: refused in such a way that a worker can tell it on."""

from harness import Bed, causes, equal, raises, scenario, seconds
from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode


@activity.defn
async def takes(text: str) -> int:
    return len(text)


@workflow.defn
class SaysTooMuch:
    """Asks for so many activities at once that a message does not hold them."""

    @workflow.run
    async def run(self) -> None:
        for _ in range(6):
            workflow.start_activity(takes, "x" * 1_000_000, start_to_close_timeout=seconds(30))
        await workflow.wait_condition(lambda: False)


@scenario
async def a_workflow_that_no_message_holds_ends(bed: Bed) -> None:
    handle = await bed.client.start_workflow(SaysTooMuch.run, id=bed.id(), task_queue=bed.queue)
    async with raises(WorkflowFailureError) as error:
        await handle.result()
    equal(causes(error.value)[1:], ["TerminatedError: GrpcMessageTooLarge"])


@scenario
async def a_message_has_its_bound(bed: Bed) -> None:
    request = SignalWorkflowExecutionRequest(namespace=bed.client.namespace, signal_name="x")
    request.workflow_execution.workflow_id = "nobody"
    request.header.fields["large"].data = b"x" * (5 * 1024 * 1024)
    async with raises(RPCError) as error:
        await bed.client.workflow_service.signal_workflow_execution(request)
    equal(error.value.status, RPCStatusCode.RESOURCE_EXHAUSTED)
    assert "larger than max" in error.value.message, error.value.message
