"""Continue-as-new: what is carried over, and how a handle follows."""

from harness import Bed, equal, raises, scenario, seconds
from temporalio import workflow
from temporalio.client import WorkflowContinuedAsNewError, WorkflowFailureError


@workflow.defn
class Counts:
    def __init__(self) -> None:
        self.signals: list[str] = []

    @workflow.run
    async def run(self, left: int, seen: list[str]) -> dict:
        await workflow.wait_condition(lambda: bool(self.signals))
        info = workflow.info()
        if left > 0:
            workflow.continue_as_new(args=[left - 1, seen + self.signals], memo={"left": left - 1})
        return {
            "seen": seen + self.signals,
            "memo": workflow.memo_value("left"),
            "continued": info.continued_run_id is not None,
            "first": info.first_execution_run_id,
            "run time-out": info.run_timeout.total_seconds() if info.run_timeout else None,
        }

    @workflow.signal
    def go(self, text: str) -> None:
        self.signals.append(text)


@scenario
async def a_chain_is_one_workflow_to_its_caller(bed: Bed) -> None:
    handle = await bed.client.start_workflow(
        Counts.run, args=[2, []], id=bed.id(), task_queue=bed.queue, run_timeout=seconds(90), memo={"left": 2}
    )
    current = bed.client.get_workflow_handle(handle.id)
    for text in ["a", "b", "c"]:
        run = (await current.describe()).run_id
        await current.signal(Counts.go, text)
        if text != "c":
            old = bed.client.get_workflow_handle(handle.id, run_id=run)
            async with raises(WorkflowContinuedAsNewError) as continued:
                await old.result(follow_runs=False)
            equal((await current.describe()).run_id, continued.value.new_execution_run_id)
            equal((await old.describe()).status.name, "CONTINUED_AS_NEW")
    result = await handle.result()
    equal(
        result,
        {
            "seen": ["a", "b", "c"],
            "memo": 0,
            "continued": True,
            "first": handle.first_execution_run_id,
            "run time-out": 90.0,
        },
    )


@scenario
async def the_execution_time_out_spans_the_chain(bed: Bed) -> None:
    handle = await bed.client.start_workflow(
        Counts.run, args=[1, []], id=bed.id(), task_queue=bed.queue, execution_timeout=seconds(2)
    )
    await handle.signal(Counts.go, "on")
    async with raises(WorkflowFailureError) as failed:
        await handle.result()
    equal(type(failed.value.cause).__name__, "TimeoutError")
