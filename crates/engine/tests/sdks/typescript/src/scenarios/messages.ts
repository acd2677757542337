// Signals and queries: to running and closed workflows, unknown ones, failing ones, default handlers.

import assert from 'node:assert/strict';
import { QueryNotRegisteredError, QueryRejectedError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { eventTypes, raises, type Scenario } from '../harness';
import * as workflows from '../workflows/messages';

export const scenarios: Record<string, Scenario> = {
  async signalsArriveInOrder(bed) {
    const handle = await bed.client.workflow.start(workflows.inbox, bed.on({}));
    for (let number = 0; number < 20; number++) await handle.signal(workflows.add, 'a', number);
    await handle.signal(workflows.close);
    assert.deepEqual(await handle.result(), [...Array(20).keys()].map((number) => `a${number}`));
  },

  async queriesSeeAllThatWasAcknowledged(bed) {
    const handle = await bed.client.workflow.start(workflows.inbox, bed.on({}));
    for (let number = 1; number <= 5; number++) {
      await handle.signal('unheard of', 1, 2);
      assert.equal(await handle.query(workflows.count), number);
    }
    await handle.signal(workflows.close);
    assert.deepEqual(await handle.result(), Array(5).fill('unheard of/2'));
    assert.equal(await handle.query(workflows.count), 5);
  },

  async queriesFailWithTheirReason(bed) {
    const handle = await bed.client.workflow.start(workflows.inbox, bed.on({}));
    await assert.rejects(handle.query(workflows.broken, 'out of order'), /out of order/);
    const unknown = await raises(QueryNotRegisteredError, handle.query('nothing of the kind'));
    assert.match(unknown.message, /nothing of the kind/);
    const trace = await handle.query<string>('__stack_trace');
    assert.match(trace, /inbox/);
    await handle.signal(workflows.close);
    await handle.result();
    const rejectCondition = temporal.api.enums.v1.QueryRejectCondition.QUERY_REJECT_CONDITION_NOT_OPEN;
    const picky = new (bed.client.workflow.constructor as new (options: object) => typeof bed.client.workflow)({
      connection: bed.client.connection,
      namespace: bed.namespace,
      queryRejectCondition: rejectCondition,
    });
    const rejected = await raises(QueryRejectedError, picky.getHandle(handle.workflowId).query(workflows.count));
    assert.equal(rejected.status, temporal.api.enums.v1.WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED);
  },

  async signalWithStartStartsOnce(bed) {
    const options = bed.on({ signal: workflows.add });
    const first = await bed.client.workflow.signalWithStart(workflows.inbox, { ...options, signalArgs: ['s', 0] });
    const second = await bed.client.workflow.signalWithStart(workflows.inbox, { ...options, signalArgs: ['s', 1] });
    assert.equal(first.signaledRunId, second.signaledRunId);
    await first.signal(workflows.close);
    assert.deepEqual(await first.result(), ['s0', 's1']);
    assert.deepEqual((await eventTypes(first)).slice(0, 2), ['WORKFLOW_EXECUTION_STARTED', 'WORKFLOW_EXECUTION_SIGNALED']);
  },

  async nobodyThere(bed) {
    const handle = bed.client.workflow.getHandle('nobody');
    for (const call of [
      () => handle.signal('x'),
      () => handle.query('x'),
      () => handle.describe(),
      () => handle.cancel(),
      () => handle.terminate(),
      () => handle.result(),
    ]) {
      await raises(WorkflowNotFoundError, call());
    }
    const closed = await bed.client.workflow.start(workflows.inbox, bed.on({}));
    await closed.terminate();
    const late = await raises(WorkflowNotFoundError, closed.signal(workflows.close));
    assert.match(late.message, /workflow execution already completed/);
  },
};
