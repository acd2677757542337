// Updates: values, validators, stages, ids, what a close leaves of them, and starting with one.

import assert from 'node:assert/strict';
import {
  WithStartWorkflowOperation,
  type WorkflowHandle,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/common';
import { type Bed, eventTypes, eventually, raises, type Scenario } from '../harness';
import * as workflows from '../workflows/updates';

function start(bed: Bed, workflowId = bed.id()) {
  return bed.client.workflow.start(workflows.stack, { workflowId, taskQueue: bed.queue });
}

/** The failure of an update, which is its error's cause. */
async function refused(work: Promise<unknown>): Promise<ApplicationFailure> {
  const { cause } = await raises(WorkflowUpdateFailedError, work);
  assert(cause instanceof ApplicationFailure);
  return cause;
}

async function updateEvents(handle: WorkflowHandle): Promise<string[]> {
  return (await eventTypes(handle)).filter((kind) => kind.includes('UPDATE'));
}

export const scenarios: Record<string, Scenario> = {
  async valuesComeBackInOrder(bed) {
    const handle = await start(bed);
    for (const [index, text] of ['a', 'b', 'c'].entries()) {
      assert.equal(await handle.executeUpdate(workflows.push, { args: [text] }), index + 1);
    }
    const many = await Promise.all(
      Array.from({ length: 20 }, (_, number) => handle.executeUpdate(workflows.push, { args: [`${number}`] })),
    );
    assert.deepEqual(new Set(many), new Set(Array.from({ length: 20 }, (_, number) => number + 4)));
    assert.equal((await handle.query(workflows.pushed)).length, 23);
    await handle.signal(workflows.stop);
    assert.equal((await handle.result()).length, 23);
  },

  async aRejectedUpdateLeavesNoTrace(bed) {
    const handle = await start(bed);
    await handle.executeUpdate(workflows.push, { args: ['a'] });
    const before = await eventTypes(handle);
    const failure = await refused(handle.executeUpdate(workflows.push, { args: [''] }));
    assert.deepEqual([failure.message, failure.type], ['nothing to push', 'Empty']);
    assert.deepEqual(await eventTypes(handle), before);
    assert.equal(await handle.executeUpdate(workflows.push, { args: ['b'] }), 2);
    await handle.terminate();
  },

  async aFailedUpdateTellsWhy(bed) {
    const handle = await start(bed);
    const failure = await refused(handle.executeUpdate(workflows.refuse, { args: ['not today'] }));
    assert.deepEqual([failure.message, failure.type, failure.details], ['not today', 'Refused', [1]]);
    assert.deepEqual(await updateEvents(handle), [
      'WORKFLOW_EXECUTION_UPDATE_ACCEPTED',
      'WORKFLOW_EXECUTION_UPDATE_COMPLETED',
    ]);
    const unknown = await refused(handle.executeUpdate('unheard of'));
    assert.match(unknown.message, /unheard of/);
    await handle.terminate();
  },

  async anAcceptedUpdateIsWaitedFor(bed) {
    const handle = await start(bed);
    const update = await handle.startUpdate(workflows.wait, { args: ['it'], updateId: 'one', waitForStage: 'ACCEPTED' });
    assert.deepEqual([update.updateId, update.workflowRunId], ['one', handle.firstExecutionRunId]);
    assert.deepEqual(await updateEvents(handle), ['WORKFLOW_EXECUTION_UPDATE_ACCEPTED']);
    const found = handle.getUpdateHandle<string>('one').result();
    const again = handle.executeUpdate(workflows.wait, { args: ['the same'], updateId: 'one' });
    await handle.signal(workflows.release);
    assert.deepEqual(await Promise.all([update.result(), found, again]), Array(3).fill('it waited'));
    await handle.signal(workflows.stop);
    await handle.result();
    // A closed run still knows what its updates came to.
    assert.equal(await handle.getUpdateHandle<string>('one').result(), 'it waited');
  },

  async aCloseEndsWhatWasAccepted(bed) {
    const handle = await start(bed);
    const update = await handle.startUpdate(workflows.wait, { args: ['it'], waitForStage: 'ACCEPTED' });
    const waiting = refused(update.result());
    await handle.signal(workflows.stop);
    await handle.result();
    assert.equal((await waiting).type, 'AcceptedUpdateCompletedWorkflow');
    await raises(WorkflowNotFoundError, handle.executeUpdate(workflows.push, { args: ['late'] }));
    await raises(WorkflowNotFoundError, bed.client.workflow.getHandle('nobody').executeUpdate('push'));
  },

  async nobodyAnswers(bed) {
    const workflowId = bed.id();
    const handle = await bed.client.workflow.start(workflows.stack, { workflowId, taskQueue: 'without workers' });
    const waits = bed.client.withDeadline(Date.now() + 500, () => handle.executeUpdate(workflows.push, { args: ['a'] }));
    await raises(WorkflowUpdateRPCTimeoutOrCancelledError, waits);
    await handle.terminate();
  },

  async anUpdateGoesToTheNextRunWithItsChain(bed) {
    const handle = await bed.client.workflow.start(workflows.handsOn, bed.on({ args: [1] as [number] }));
    assert.equal(await handle.executeUpdate(workflows.push, { args: ['x'] }), 1);
    assert.equal(await handle.result(), 2);
  },

  async anUpdateStartsItsWorkflow(bed) {
    const id = bed.id();
    const operation = (workflowIdConflictPolicy: 'USE_EXISTING' | 'FAIL') =>
      new WithStartWorkflowOperation(workflows.stack, { workflowId: id, taskQueue: bed.queue, workflowIdConflictPolicy });
    const first = operation('USE_EXISTING');
    const { workflow } = bed.client;
    assert.equal(await workflow.executeUpdateWithStart(workflows.push, { args: ['a'], startWorkflowOperation: first }), 1);
    const second = operation('USE_EXISTING');
    const update = await workflow.startUpdateWithStart(workflows.push, {
      args: ['b'],
      waitForStage: 'ACCEPTED',
      startWorkflowOperation: second,
    });
    assert.equal(await update.result(), 2);
    const handle = await first.workflowHandle();
    assert.equal((await second.workflowHandle()).workflowId, id);
    const third = operation('FAIL');
    const taken = workflow.executeUpdateWithStart(workflows.push, { args: ['c'], startWorkflowOperation: third });
    await raises(WorkflowExecutionAlreadyStartedError, taken);
    await raises(WorkflowExecutionAlreadyStartedError, third.workflowHandle());
    const fourth = operation('USE_EXISTING');
    const empty = workflow.executeUpdateWithStart(workflows.push, { args: [''], startWorkflowOperation: fourth });
    assert.equal((await refused(empty)).message, 'nothing to push');
    assert.equal((await fourth.workflowHandle()).workflowId, id);
    assert.deepEqual(await handle.query(workflows.pushed), ['a', 'b']);
    await handle.signal(workflows.stop);
    assert.deepEqual(await handle.result(), ['a', 'b']);
  },

  async updatesWhileNoWorkerHasItInMemory(bed) {
    const queue = `${bed.queue}-uncached`;
    const worker = await bed.worker({ taskQueue: queue, maxCachedWorkflows: 0 });
    await worker.runUntil(async () => {
      const handle = await bed.client.workflow.start(workflows.stack, { workflowId: bed.id(), taskQueue: queue });
      for (let number = 1; number <= 5; number++) {
        assert.equal(await handle.executeUpdate(workflows.push, { args: ['x'] }), number);
        await refused(handle.executeUpdate(workflows.push, { args: [''] }));
      }
      await handle.signal(workflows.stop);
      assert.equal((await handle.result()).length, 5);
      await eventually('it is closed', async () => (await handle.describe()).status.name === 'COMPLETED');
    });
  },
};
