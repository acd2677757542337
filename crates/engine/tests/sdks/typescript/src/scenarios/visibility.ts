// Search attributes and memos: set, changed, read back, searched for; lists in pages, counts, histories of a list.

import assert from 'node:assert/strict';
import { ServiceError } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { type Bed, BUNDLE, eventually, eventTypes, raises, type Scenario } from '../harness';
import * as workflows from '../workflows/visibility';

const { INDEXED_VALUE_TYPE_KEYWORD: KEYWORD, INDEXED_VALUE_TYPE_INT: INT } = temporal.api.enums.v1.IndexedValueType;
const { INDEXED_VALUE_TYPE_KEYWORD_LIST: LIST, INDEXED_VALUE_TYPE_DATETIME: DATE } = temporal.api.enums.v1.IndexedValueType;

let registered: Promise<void> | undefined;

/** Registers the scenarios' attributes, once. */
function register(bed: Bed): Promise<void> {
  registered ??= (async () => {
    const searchAttributes = { TsColour: KEYWORD, TsAmount: INT, TsTags: LIST, TsDue: DATE };
    await bed.client.connection.operatorService.addSearchAttributes({ namespace: bed.namespace, searchAttributes });
    await eventually('they can be used', async () => {
      const query = Object.keys(searchAttributes).map((name) => `${name} IS NULL`);
      return await bed.client.workflow.count(query.join(' AND ')).then(() => true, () => false);
    });
  })();
  return registered;
}

async function ids(bed: Bed, query: string, pageSize?: number): Promise<string[]> {
  const found = [];
  for await (const { workflowId } of bed.client.workflow.list({ query, pageSize })) found.push(workflowId);
  return found;
}

export const scenarios: Record<string, Scenario> = {
  async whatAStartBringsIsFoundAndShown(bed) {
    await register(bed);
    const mark = bed.id();
    const date = new Date('2025-03-01T10:00:00.123Z');
    const handle = await bed.client.workflow.start(
      workflows.painted,
      bed.on({
        memo: { note: 'from the start', list: [1, 2] },
        typedSearchAttributes: [
          { key: workflows.colour, value: mark },
          { key: workflows.amount, value: 42 },
          { key: workflows.tags, value: ['a', 'b'] },
          { key: workflows.due, value: date },
        ],
      }),
    );
    const { memo, typedSearchAttributes } = await handle.describe();
    assert.deepEqual(memo, { note: 'from the start', list: [1, 2] });
    assert.equal(typedSearchAttributes.get(workflows.amount), 42);
    assert.deepEqual(typedSearchAttributes.get(workflows.tags), ['a', 'b']);
    assert.deepEqual(typedSearchAttributes.get(workflows.due), date);
    for (const query of [`TsAmount = 42`, `TsTags = 'b'`, `TsDue > '2025-01-01T00:00:00Z'`, `TsAmount BETWEEN 40 AND 44`]) {
      const both = `TsColour = '${mark}' AND ${query}`;
      await eventually(both, async () => (await ids(bed, both)).join() === handle.workflowId);
    }
    assert.deepEqual(await ids(bed, `TsColour = '${mark}' AND TsAmount > 42`), []);
    await handle.terminate();
  },

  async aWorkflowChangesItsOwn(bed) {
    await register(bed);
    const mark = bed.id();
    const handle = await bed.client.workflow.start(workflows.painted, bed.on({ memo: { first: true } }));
    await handle.signal(workflows.paint, mark);
    await eventually('it is found', async () => (await ids(bed, `TsColour = '${mark}'`)).length === 1);
    const known = await handle.query(workflows.known);
    const memo = { first: true, last: mark, extra: { count: 1 } };
    assert.deepEqual(known, { colour: mark, amount: 40 + mark.length, memo });
    await handle.signal(workflows.paint, null);
    await eventually('it is found no more', async () => (await ids(bed, `TsColour = '${mark}'`)).length === 0);
    const after = await handle.describe();
    assert.equal(after.typedSearchAttributes.get(workflows.colour), undefined);
    assert.equal(after.typedSearchAttributes.get(workflows.amount), 40);
    assert.deepEqual(after.memo, { first: true, extra: { count: 1 } });
    const kinds = await eventTypes(handle);
    assert.equal(kinds.filter((kind) => kind === 'UPSERT_WORKFLOW_SEARCH_ATTRIBUTES').length, 2);
    assert.equal(kinds.filter((kind) => kind === 'WORKFLOW_PROPERTIES_MODIFIED').length, 2);
    await handle.terminate();
  },

  async listsComeInPagesAndCountsInGroups(bed) {
    await register(bed);
    const mark = bed.id();
    const typedSearchAttributes = [{ key: workflows.colour, value: mark }];
    const handles = await Promise.all(
      Array.from({ length: 7 }, () => bed.client.workflow.start(workflows.painted, bed.on({ typedSearchAttributes }))),
    );
    for (const handle of handles.slice(0, 2)) await handle.signal(workflows.done);
    await Promise.all(handles.slice(0, 2).map((handle) => handle.result()));
    await handles[2]!.terminate();
    const query = `TsColour = '${mark}'`;
    const closed = `${query} AND ExecutionStatus = 'Completed'`;
    await eventually('all are listed', async () => (await bed.client.workflow.count(query)).count === 7);
    await eventually('all closes are listed', async () => {
      const { count } = await bed.client.workflow.count(`${query} AND ExecutionStatus != 'Running'`);
      return count === 3;
    });
    assert.deepEqual(new Set(await ids(bed, query, 2)), new Set(handles.map(({ workflowId }) => workflowId)));
    const { count, groups } = await bed.client.workflow.count(`${query} GROUP BY ExecutionStatus`);
    const told = groups.map(({ count, groupValues }) => `${groupValues} ${count}`).sort();
    assert.deepEqual([count, told], [7, ['Completed 2', 'Running 4', 'Terminated 1']]);
    const histories = bed.client.workflow.list({ query: closed }).intoHistories();
    let replayed = 0;
    for await (const result of Worker.runReplayHistories({ workflowBundle: BUNDLE }, histories)) {
      assert.equal(result.error, undefined);
      replayed += 1;
    }
    assert.equal(replayed, 2);
    await Promise.all(handles.slice(3).map((handle) => handle.terminate()));
  },

  async whatCannotBeSearchedIsSaid(bed) {
    const wrong = await raises(ServiceError, ids(bed, 'Nothing = 1'));
    assert.match(String((wrong.cause as Error).message), /invalid search attribute: Nothing/);
    await raises(ServiceError, ids(bed, 'WorkflowId ='));
  },
};
