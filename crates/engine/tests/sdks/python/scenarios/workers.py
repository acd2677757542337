"""Workers: sticky caches of size 0 and 1, shutdown under load, hand-over to another, interceptors, other namespaces."""

import asyncio
import uuid
from typing import Any

import temporalio.client
import temporalio.worker
from harness import Bed, equal, event_types, eventually, has_event, raises, scenario, seconds
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.converter import default as default_converter
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode


@activity.defn
async def step(number: int) -> int:
    await asyncio.sleep(0.01)
    return number


@workflow.defn
class Steps:
    def __init__(self) -> None:
        self.done: list[int] = []

    @workflow.run
    async def run(self, count: int) -> list[int]:
        for number in range(count):
            self.done.append(
                await workflow.execute_activity(step, number, start_to_close_timeout=seconds(10))
            )
        return self.done

    @workflow.query
    def how_far(self) -> int:
        return len(self.done)


@workflow.defn
class Waits:
    def __init__(self) -> None:
        self.value = 0

    @workflow.run
    async def run(self) -> int:
        await workflow.wait_condition(lambda: self.value > 1)
        return self.value

    @workflow.signal
    def add(self) -> None:
        self.value += 1

    @workflow.query
    def get(self) -> int:
        return self.value


@activity.defn
async def traced() -> str:
    return TRACE.get(activity.info().workflow_id or "", "none")


@workflow.defn
class Traced:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(traced, start_to_close_timeout=seconds(10))


TRACE: dict[str, str] = {}


def payload(text: str) -> Payload:
    return default_converter().payload_converter.to_payload(text)


class Tracing(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Sends the header `trace` along with a start, from there to activities, and notes what arrives."""

    def intercept_client(self, next: temporalio.client.OutboundInterceptor) -> temporalio.client.OutboundInterceptor:
        return FromClient(next)

    def intercept_activity(
        self, next: temporalio.worker.ActivityInboundInterceptor
    ) -> temporalio.worker.ActivityInboundInterceptor:
        return IntoActivity(next)

    def workflow_interceptor_class(self, input: Any) -> type[temporalio.worker.WorkflowInboundInterceptor]:
        return IntoWorkflow


class FromClient(temporalio.client.OutboundInterceptor):
    async def start_workflow(self, input: temporalio.client.StartWorkflowInput) -> Any:
        input.headers = {"trace": payload("of the client")}
        return await super().start_workflow(input)


class IntoWorkflow(temporalio.worker.WorkflowInboundInterceptor):
    def init(self, outbound: temporalio.worker.WorkflowOutboundInterceptor) -> None:
        super().init(FromWorkflow(outbound, self))

    async def execute_workflow(self, input: temporalio.worker.ExecuteWorkflowInput) -> Any:
        self.trace = dict(input.headers)
        return await super().execute_workflow(input)


class FromWorkflow(temporalio.worker.WorkflowOutboundInterceptor):
    def __init__(self, next: temporalio.worker.WorkflowOutboundInterceptor, inbound: IntoWorkflow) -> None:
        super().__init__(next)
        self.inbound = inbound

    def start_activity(self, input: temporalio.worker.StartActivityInput) -> Any:
        input.headers = {**input.headers, **self.inbound.trace}
        return super().start_activity(input)


class IntoActivity(temporalio.worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:
        text = default_converter().payload_converter.from_payload(input.headers["trace"])
        TRACE[activity.info().workflow_id or ""] = text
        return await super().execute_activity(input)


@scenario
async def workflows_go_on_without_a_cache(bed: Bed) -> None:
    for cached in [0, 1]:
        queue = f"{bed.queue}-cache-{cached}"
        async with bed.worker(queue=queue, max_cached_workflows=cached):
            handles = [
                await bed.client.start_workflow(Steps.run, 4, id=bed.id(), task_queue=queue) for _ in range(4)
            ]
            for handle in handles:
                equal(await handle.result(), [0, 1, 2, 3])
                equal(await handle.query(Steps.how_far), 4)
                equal("WORKFLOW_TASK_FAILED" in await event_types(handle), False)


@scenario
async def another_worker_takes_over(bed: Bed) -> None:
    queue = f"{bed.queue}-over"
    async with bed.worker(queue=queue):
        handle = await bed.client.start_workflow(Waits.run, id=bed.id(), task_queue=queue)
        await handle.signal(Waits.add)
        equal(await handle.query(Waits.get), 1)
    # The first one's cache is gone with it; the sticky queue must not hold up what comes now.
    async with bed.worker(queue=queue):
        equal(await handle.query(Waits.get), 1)
        await handle.signal(Waits.add)
        equal(await handle.result(), 2)


@scenario
async def a_worker_ends_under_load(bed: Bed) -> None:
    queue = f"{bed.queue}-load"
    handles = []
    async with bed.worker(queue=queue, graceful_shutdown_timeout=seconds(5)):
        for _ in range(20):
            handles.append(await bed.client.start_workflow(Steps.run, 5, id=bed.id(), task_queue=queue))
        await has_event(handles[0], "ACTIVITY_TASK_COMPLETED")
    async with bed.worker(queue=queue):
        for handle in handles:
            equal(await handle.result(), [0, 1, 2, 3, 4])


@scenario
async def headers_go_through(bed: Bed) -> None:
    config = bed.client.config()
    config["interceptors"] = [Tracing()]
    client = Client(**config)
    queue = f"{bed.queue}-traced"
    async with bed.worker(queue=queue, client=client):
        handle = await client.start_workflow(Traced.run, id=bed.id(), task_queue=queue)
        equal(await handle.result(), "of the client")


@scenario
async def namespaces_are_worlds_of_their_own(bed: Bed) -> None:
    name = f"python-{uuid.uuid4()}"
    request = RegisterNamespaceRequest(namespace=name)
    request.workflow_execution_retention_period.FromSeconds(24 * 3600)
    await bed.client.workflow_service.register_namespace(request)
    config = bed.client.config()
    config["namespace"] = name
    other = Client(**config)

    async def usable() -> bool:
        try:
            return (await other.count_workflows()).count == 0
        except RPCError:
            return False

    await eventually("the namespace can be used", usable)
    id = bed.id()
    here = await bed.client.start_workflow(Waits.run, id=id, task_queue="nobody")
    there = await other.start_workflow(Waits.run, id=id, task_queue="nobody")
    async with raises(WorkflowAlreadyStartedError):
        await other.start_workflow(Waits.run, id=id, task_queue="nobody")
    await there.terminate()
    equal((await here.describe()).status.name, "RUNNING")
    await here.terminate()


@scenario
async def the_service_is_healthy_and_knows_its_namespaces(bed: Bed) -> None:
    equal(await bed.client.service_client.check_health(), True)
    config = bed.client.config()
    config["namespace"] = "unheard-of"
    async with raises(RPCError) as unknown:
        await Client(**config).start_workflow(Waits.run, id=bed.id(), task_queue="nobody")
    equal(unknown.value.status, RPCStatusCode.NOT_FOUND)
    assert "unheard-of" in unknown.value.message, unknown.value.message
