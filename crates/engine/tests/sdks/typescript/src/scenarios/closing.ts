// The ends of a workflow: terminated, failed with nested causes, and code that fails and keeps it open.

import assert from 'node:assert/strict';
import { ApplicationFailure, TerminatedFailure } from '@temporalio/common';
import { causes, eventTypes, failure, hasEvent, type Scenario } from '../harness';
import * as workflows from '../workflows/closing';

export const scenarios: Record<string, Scenario> = {
  async aTerminatedWorkflowTellsWhy(bed) {
    const handle = await bed.client.workflow.start(workflows.waitsForEver, bed.on({}));
    await handle.terminate('the reason');
    const error = await failure(handle.result());
    assert(error instanceof TerminatedFailure);
    assert.equal(error.message, 'the reason');
    assert.equal((await handle.describe()).status.name, 'TERMINATED');
  },

  async failuresArriveWithAllTheirCauses(bed) {
    const top = await failure(bed.client.workflow.execute(workflows.nested, bed.on({})));
    assert.deepEqual(causes(top), [
      'ApplicationFailure: the top',
      'ApplicationFailure: the middle',
      'ApplicationFailure: the ground',
    ]);
    assert(top instanceof ApplicationFailure && top.cause instanceof ApplicationFailure);
    assert.deepEqual([top.type, top.nonRetryable], ['Top', true]);
    assert.deepEqual([top.cause.type, top.cause.details], ['Middle', [1, { a: 'b' }]]);
  },

  async aMistakeInTheCodeKeepsTheWorkflowOpen(bed) {
    const handle = await bed.client.workflow.start(workflows.crashes, bed.on({}));
    await hasEvent(handle, 'WORKFLOW_TASK_FAILED');
    assert.equal((await handle.describe()).status.name, 'RUNNING');
    await handle.terminate();
    const failed = (await eventTypes(handle)).filter((kind) => kind === 'WORKFLOW_TASK_FAILED');
    assert.equal(failed.length, 1);
  },
};
