"""Cron schedules of workflows: the next run has the last one's result, and its failure."""

from harness import Bed, equal, eventually, event_types, scenario
from temporalio import workflow
from temporalio.exceptions import ApplicationError


@workflow.defn
class Counts:
    @workflow.run
    async def run(self) -> int:
        if not workflow.has_last_completion_result():
            return 1
        last = workflow.get_last_completion_result(int)
        if last == 2 and workflow.get_last_failure() is None:
            raise ApplicationError("the third")
        return last + 1


@scenario
async def results_and_failures_are_handed_on(bed: Bed) -> None:
    handle = await bed.client.start_workflow(
        Counts.run, id=bed.id(), task_queue=bed.queue, cron_schedule="@every 1s"
    )
    results: list[str] = []
    run = handle.first_execution_run_id
    while len(results) < 4:
        one = bed.client.get_workflow_handle(handle.id, run_id=run)

        async def closed() -> bool:
            return (await one.describe()).status.name != "RUNNING"

        await eventually("the run ends", closed)
        last = [event async for event in one.fetch_history_events()][-1]
        completed = last.workflow_execution_completed_event_attributes
        failed = last.workflow_execution_failed_event_attributes
        if completed.new_execution_run_id:
            results.append(completed.result.payloads[0].data.decode())
        else:
            results.append(failed.failure.message)
        run = completed.new_execution_run_id or failed.new_execution_run_id
    equal(results, ["1", "2", "the third", "3"])
    equal((await event_types(bed.client.get_workflow_handle(handle.id, run_id=run)))[0], "WORKFLOW_EXECUTION_STARTED")
    await bed.client.get_workflow_handle(handle.id).terminate()
