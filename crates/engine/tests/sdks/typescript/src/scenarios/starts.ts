// Starting workflows: id policies and their errors, delays, time-outs, retries of the workflow.

import assert from 'node:assert/strict';
import { type WorkflowHandle, WorkflowFailedError } from '@temporalio/client';
import { TerminatedFailure, TimeoutFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { type Bed, causes, eventTypes, failure, raises, type Scenario } from '../harness';
import * as workflows from '../workflows/starts';

function start(bed: Bed, workflowId: string, options: object = {}) {
  return bed.client.workflow.start(workflows.waitsToFinish, bed.on({ workflowId, ...options }));
}

async function end(handle: WorkflowHandle, how = 'well'): Promise<void> {
  await handle.signal(workflows.finish, how);
  await handle.result().catch((error) => assert(error instanceof WorkflowFailedError));
}

export const scenarios: Record<string, Scenario> = {
  async anIdIsTakenWhileItsWorkflowRuns(bed) {
    const id = bed.id();
    const first = await start(bed, id);
    const taken = await raises(WorkflowExecutionAlreadyStartedError, start(bed, id));
    assert.deepEqual([taken.workflowId, taken.workflowType], [id, 'waitsToFinish']);
    const existing = await start(bed, id, { workflowIdConflictPolicy: 'USE_EXISTING' });
    assert.equal(existing.firstExecutionRunId, first.firstExecutionRunId);
    const other = await start(bed, id, { workflowIdConflictPolicy: 'TERMINATE_EXISTING' });
    assert.notEqual(other.firstExecutionRunId, first.firstExecutionRunId);
    const gone = bed.client.workflow.getHandle(id, first.firstExecutionRunId);
    assert((await failure(gone.result())) instanceof TerminatedFailure);
    await end(other);
  },

  async aClosedWorkflowsIdIsGivenAgainByPolicy(bed) {
    const id = bed.id();
    await end(await start(bed, id));
    for (const workflowIdReusePolicy of ['REJECT_DUPLICATE', 'ALLOW_DUPLICATE_FAILED_ONLY']) {
      await raises(WorkflowExecutionAlreadyStartedError, start(bed, id, { workflowIdReusePolicy }));
    }
    await end(await start(bed, id), 'fail');
    await end(await start(bed, id, { workflowIdReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY' }));
  },

  async aStartMayBeDelayed(bed) {
    const handle = await bed.client.workflow.start(workflows.quick, bed.on({ startDelay: 500 }));
    assert.equal(await handle.result(), 'quick');
    const { startTime, closeTime } = await handle.describe();
    assert(closeTime!.getTime() - startTime.getTime() >= 500);
  },

  async aRunTimesOut(bed) {
    const handle = await start(bed, bed.id(), { workflowRunTimeout: 500 });
    assert((await failure(handle.result())) instanceof TimeoutFailure);
    assert.equal((await handle.describe()).status.name, 'TIMED_OUT');
  },

  async aFailedWorkflowIsRunAgain(bed) {
    const retry = { initialInterval: 50, maximumAttempts: 3 };
    const handle = await bed.client.workflow.start(workflows.again, bed.on({ args: [3] as [number], retry }));
    assert.equal(await handle.result(), 3);
    const first = bed.client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
    assert.equal((await eventTypes(first)).at(-1), 'WORKFLOW_EXECUTION_FAILED');
    const hopeless = bed.client.workflow.execute(workflows.again, bed.on({ args: [9] as [number], retry }));
    assert.deepEqual(causes(await failure(hopeless)), ['ApplicationFailure: attempt 3']);
  },

  async aHundredAtOnce(bed) {
    const all = Array.from({ length: 100 }, () => bed.client.workflow.execute(workflows.quick, bed.on({})));
    assert.deepEqual(new Set(await Promise.all(all)), new Set(['quick']));
  },
};
