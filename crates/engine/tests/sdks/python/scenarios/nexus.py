"""A worker that has Nexus handlers besides its workflows and activities does these, whether it gets Nexus tasks or not."""

import nexusrpc
import nexusrpc.handler
from harness import Bed, equal, scenario, seconds
from temporalio import activity, workflow


@nexusrpc.service
class Greetings:
    greet: nexusrpc.Operation[str, str]


@nexusrpc.handler.service_handler(service=Greetings)
class Handler:
    @nexusrpc.handler.sync_operation
    async def greet(self, _context: nexusrpc.handler.StartOperationContext, name: str) -> str:
        return f"Hello, {name}!"


@activity.defn
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class Greets:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=seconds(10))


@scenario
async def handlers_do_not_keep_a_worker_from_its_other_work(bed: Bed) -> None:
    queue = f"{bed.queue}-handlers"
    async with bed.worker(queue=queue, nexus_service_handlers=[Handler()]) as worker:
        for name in ["one", "two"]:
            result = await bed.client.execute_workflow(Greets.run, name, id=bed.id(), task_queue=queue)
            equal(result, f"Hello, {name}!")
        equal(worker.is_running, True)
    equal(worker.is_shutdown, True)
