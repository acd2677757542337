"""Workers with versions: each gets what its version is for."""

import asyncio

from harness import Bed, equal, eventually, scenario
from temporalio import workflow
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import WorkflowHandle
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

DEPLOYMENT = "shop"


class Basket:
    def __init__(self) -> None:
        self.is_paid = False

    @workflow.signal
    def pay(self) -> None:
        self.is_paid = True


@workflow.defn(name="Pinned", versioning_behavior=VersioningBehavior.PINNED)
class PinnedOne(Basket):
    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.is_paid)
        return "one"


@workflow.defn(name="Pinned", versioning_behavior=VersioningBehavior.PINNED)
class PinnedTwo(Basket):
    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.is_paid)
        return "two"


@workflow.defn(name="Moving", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class Moving(Basket):
    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.is_paid)
        version = workflow.info().get_current_deployment_version()
        return version.build_id if version else "none"


def config(build_id: str) -> dict:
    version = WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=build_id)
    return {"deployment_config": WorkerDeploymentConfig(version=version, use_worker_versioning=True)}


async def make_current(bed: Bed, build_id: str) -> None:
    """As soon as its worker has polled."""
    service = bed.client.workflow_service

    async def is_current() -> bool:
        try:
            request = SetWorkerDeploymentCurrentVersionRequest(
                namespace=bed.client.namespace, deployment_name=DEPLOYMENT, build_id=build_id
            )
            await service.set_worker_deployment_current_version(request)
            request = DescribeWorkerDeploymentRequest(
                namespace=bed.client.namespace, deployment_name=DEPLOYMENT
            )
            found = await service.describe_worker_deployment(request)
        except RPCError as error:
            assert error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION), error
            return False
        return found.worker_deployment_info.routing_config.current_deployment_version.build_id == build_id

    await eventually(f"version {build_id} is current", is_current)


async def runs_on(handle: WorkflowHandle, build_id: str) -> None:
    async def is_there() -> bool:
        info = (await handle.describe()).raw_description.workflow_execution_info.versioning_info
        return info.deployment_version.build_id == build_id

    await eventually(f"it runs on version {build_id}", is_there)


@scenario
async def the_pinned_stay_and_the_others_move(bed: Bed) -> None:
    queue = bed.id()
    async with bed.worker(queue, workflows=[PinnedOne, Moving], **config("1")):
        await make_current(bed, "1")
        old = await bed.client.start_workflow("Pinned", id=bed.id(), task_queue=queue)
        moving = await bed.client.start_workflow("Moving", id=bed.id(), task_queue=queue)
        await asyncio.gather(runs_on(old, "1"), runs_on(moving, "1"))
        async with bed.worker(queue, workflows=[PinnedTwo, Moving], **config("2")):
            await make_current(bed, "2")
            new = await bed.client.start_workflow("Pinned", id=bed.id(), task_queue=queue)
            await runs_on(new, "2")
            for handle in [old, moving, new]:
                await handle.signal("pay")
            equal([await handle.result() for handle in [old, moving, new]], ["one", "2", "two"])
