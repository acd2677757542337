"""Search attributes of every type, memos, and how lists, counts and descriptions show them."""

from datetime import datetime, timezone

from harness import Bed, add_search_attributes, equal, eventually, raises, scenario
from temporalio import workflow
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

TEXT = SearchAttributeKey.for_text("PyText")
KEYWORD = SearchAttributeKey.for_keyword("PyKeyword")
NUMBER = SearchAttributeKey.for_int("PyInt")
DOUBLE = SearchAttributeKey.for_float("PyDouble")
BOOL = SearchAttributeKey.for_bool("PyBool")
TIME = SearchAttributeKey.for_datetime("PyDatetime")
LIST = SearchAttributeKey.for_keyword_list("PyList")

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@workflow.defn
class Upserts:
    def __init__(self) -> None:
        self.done = False

    @workflow.run
    async def run(self) -> dict:
        before = workflow.info().typed_search_attributes.get(NUMBER)
        workflow.upsert_search_attributes([NUMBER.value_set(8), TEXT.value_unset()])
        workflow.upsert_memo({"phase": "second", "kept": None})
        await workflow.wait_condition(lambda: self.done)
        return {"before": before, "after": workflow.info().typed_search_attributes.get(NUMBER)}

    @workflow.signal
    def finish(self) -> None:
        self.done = True


async def register(bed: Bed) -> None:
    types = IndexedValueType
    await add_search_attributes(
        bed,
        PyText=types.INDEXED_VALUE_TYPE_TEXT,
        PyKeyword=types.INDEXED_VALUE_TYPE_KEYWORD,
        PyInt=types.INDEXED_VALUE_TYPE_INT,
        PyDouble=types.INDEXED_VALUE_TYPE_DOUBLE,
        PyBool=types.INDEXED_VALUE_TYPE_BOOL,
        PyDatetime=types.INDEXED_VALUE_TYPE_DATETIME,
        PyList=types.INDEXED_VALUE_TYPE_KEYWORD_LIST,
    )


@scenario
async def attributes_are_set_found_changed_and_counted(bed: Bed) -> None:
    await register(bed)
    given = TypedSearchAttributes(
        [
            SearchAttributePair(TEXT, "the quick brown fox"),
            SearchAttributePair(KEYWORD, "a key"),
            SearchAttributePair(NUMBER, 7),
            SearchAttributePair(DOUBLE, 1.5),
            SearchAttributePair(BOOL, True),
            SearchAttributePair(TIME, NOON),
            SearchAttributePair(LIST, ["red", "green"]),
        ]
    )
    # On a queue without a worker first: what the start said is there before any code has run.
    options: dict = {"search_attributes": given, "memo": {"phase": "first", "kept": 1}}
    still = await bed.client.start_workflow(Upserts.run, id=bed.id(), task_queue="nobody", **options)
    for query in [
        "PyText = 'brown'",
        "PyKeyword = 'a key'",
        "PyKeyword STARTS_WITH 'a'",
        "PyInt = 7",
        "PyInt BETWEEN 5 AND 9",
        "PyDouble > 1.4",
        "PyBool = true",
        "PyDatetime < '2026-01-01T13:00:00Z'",
        "PyList = 'green'",
        "PyList IN ('blue', 'red')",
    ]:

        async def found() -> list[str]:
            whole = f"{query} AND ExecutionStatus = 'Running' AND WorkflowType = 'Upserts'"
            return [one.id async for one in bed.client.list_workflows(whole)]

        equal(await eventually(query, found), [still.id])
    description = await still.describe()
    equal(description.typed_search_attributes.get(LIST), ["red", "green"])
    equal(description.typed_search_attributes.get(TIME), NOON)
    equal(await description.memo(), {"phase": "first", "kept": 1})

    handle = await bed.client.start_workflow(Upserts.run, id=bed.id(), task_queue=bed.queue, **options)

    async def changed() -> bool:
        return [one.id async for one in bed.client.list_workflows("PyInt = 8")] == [handle.id]

    await eventually("the upsert is found", changed)
    description = await handle.describe()
    equal(description.typed_search_attributes.get(TEXT), None)
    equal(await description.memo(), {"phase": "second"})
    await handle.signal(Upserts.finish)
    equal(await handle.result(), {"before": 7, "after": 8})

    async def counted() -> bool:
        count = await bed.client.count_workflows("PyKeyword = 'a key' GROUP BY ExecutionStatus")
        groups = {group.group_values[0]: group.count for group in count.groups}
        return (count.count, groups) == (2, {"Running": 1, "Completed": 1})

    await eventually("they are counted by status", counted)
    await still.terminate()


@scenario
async def lists_come_in_pages(bed: Bed) -> None:
    for _ in range(7):
        await bed.client.start_workflow("Paged", id=bed.id(), task_queue="nobody", start_delay=None)

    async def all_there() -> bool:
        return (await bed.client.count_workflows("WorkflowType = 'Paged'")).count == 7

    await eventually("they are counted", all_there)
    ids = [one.id async for one in bed.client.list_workflows("WorkflowType = 'Paged'", page_size=3)]
    equal((len(ids), len(set(ids))), (7, 7))
    ids = [one.id async for one in bed.client.list_workflows("WorkflowType = 'Paged'", limit=4)]
    equal(len(ids), 4)


@scenario
async def a_wrong_query_is_refused(bed: Bed) -> None:
    for query in ["Nothing = 1", "WorkflowType ="]:
        async with raises(RPCError) as wrong:
            async for _ in bed.client.list_workflows(query):
                pass
        equal(wrong.value.status, RPCStatusCode.INVALID_ARGUMENT)


@scenario
async def unknown_attributes_are_refused(bed: Bed) -> None:
    unknown = TypedSearchAttributes([SearchAttributePair(SearchAttributeKey.for_int("PyUnknown"), 1)])
    async with raises(RPCError) as wrong:
        await bed.client.start_workflow("T", id=bed.id(), task_queue=bed.queue, search_attributes=unknown)
    equal(wrong.value.status, RPCStatusCode.INVALID_ARGUMENT)
    assert "PyUnknown" in wrong.value.message, wrong.value.message
