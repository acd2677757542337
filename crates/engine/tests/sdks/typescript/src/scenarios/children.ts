// Child workflows, and messages to other workflows: results, failures, close policies, ways of cancelling.

import assert from 'node:assert/strict';
import { CancelledFailure, WorkflowNotFoundError } from '@temporalio/common';
import { ChildWorkflowFailure } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { type Bed, causes, events, eventTypes, eventually, failure, hasEvent, raises, type Scenario } from '../harness';
import * as workflows from '../workflows/children';

type CancelType = Parameters<typeof workflows.cancelsItsChild>[1];

/** Cancels a child that takes its time, and tells what its parent saw and wrote of it. */
async function cancels(bed: Bed, type: CancelType) {
  const child = bed.id();
  const args: [string, CancelType] = [child, type];
  const handle = await bed.client.workflow.start(workflows.cancelsItsChild, bed.on({ args }));
  await hasEvent(handle, 'CHILD_WORKFLOW_EXECUTION_STARTED');
  await handle.signal(workflows.cancelChild);
  const result = await handle.result();
  const kinds = await eventTypes(handle);
  return { result, kinds: kinds.filter((kind) => /EXTERNAL|CHILD/.test(kind)), child: bed.client.workflow.getHandle(child) };
}

const STARTED = ['START_CHILD_WORKFLOW_EXECUTION_INITIATED', 'CHILD_WORKFLOW_EXECUTION_STARTED'];
const REQUEST = 'REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED';
const REQUESTED = 'EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED';

export const scenarios: Record<string, Scenario> = {
  async aChildsResultComesBack(bed) {
    const handle = await bed.client.workflow.start(workflows.parentOf, bed.on({ args: ['at once'] as [string] }));
    assert.equal(await handle.result(), 'at once');
    const initiated = (await events(handle)).flatMap((one) => one.startChildWorkflowExecutionInitiatedEventAttributes ?? []);
    const child = bed.client.workflow.getHandle(initiated[0]!.workflowId!);
    const { parentExecution, rootExecution } = await child.describe();
    assert.equal(parentExecution?.workflowId, handle.workflowId);
    assert.equal(rootExecution?.runId, handle.firstExecutionRunId);
  },

  async aChildIsOneThroughAllItsRuns(bed) {
    const handle = await bed.client.workflow.start(workflows.parentOf, bed.on({ args: ['continues 2'] as [string] }));
    assert.equal(await handle.result(), `after all, ${handle.workflowId}`);
    const kinds = (await eventTypes(handle)).filter((kind) => kind.includes('CHILD'));
    assert.deepEqual(kinds, [...STARTED, 'CHILD_WORKFLOW_EXECUTION_COMPLETED']);
  },

  async aParentSignalsItsChild(bed) {
    const handle = await bed.client.workflow.start(workflows.parentThatSignals, bed.on({}));
    assert.equal(await handle.result(), `signalled, ${handle.workflowId}`);
    const kinds = await eventTypes(handle);
    assert(kinds.includes('EXTERNAL_WORKFLOW_EXECUTION_SIGNALED'), kinds.join());
  },

  async aChildsFailureIsToldWithItsCause(bed) {
    const found = await bed.client.workflow.execute(workflows.tellsOfAFailingChild, bed.on({}));
    assert.deepEqual(found, ['child', 'NON_RETRYABLE_FAILURE', 'the child', 'Sick']);
    const error = await failure(bed.client.workflow.execute(workflows.parentOf, bed.on({ args: ['fails'] as [string] })));
    assert(error instanceof ChildWorkflowFailure);
    assert.deepEqual(causes(error), [
      'ChildWorkflowFailure: Child Workflow execution failed',
      'ApplicationFailure: the child',
    ]);
  },

  async aChildFollowsItsParentByPolicy(bed) {
    const ends: [Parameters<typeof workflows.leavesAChild>[1], string][] = [
      ['TERMINATE', 'TERMINATED'],
      ['REQUEST_CANCEL', 'CANCELLED'],
      ['ABANDON', 'RUNNING'],
    ];
    await Promise.all(
      ends.map(async ([policy, status]) => {
        const id = bed.id();
        const args: Parameters<typeof workflows.leavesAChild> = [id, policy];
        await bed.client.workflow.execute(workflows.leavesAChild, bed.on({ args }));
        const child = bed.client.workflow.getHandle(id);
        await eventually(`${policy} leaves it ${status}`, async () => (await child.describe()).status.name === status);
        if (status === 'RUNNING') {
          await child.signal(workflows.letChildGo, 'alone');
          assert.match(await child.result(), /^alone, /);
        }
      }),
    );
  },

  async aTakenIdStartsNoChild(bed) {
    const id = bed.id();
    const first = await bed.client.workflow.start(workflows.child, { workflowId: id, taskQueue: bed.queue, args: ['waits'] });
    const args: [string] = [id];
    const handle = await bed.client.workflow.start(workflows.startsATakenId, bed.on({ args }));
    assert.equal(await handle.result(), `child ${id}`);
    const failed = (await events(handle)).flatMap((one) => one.startChildWorkflowExecutionFailedEventAttributes ?? []);
    const causes = temporal.api.enums.v1.StartChildWorkflowExecutionFailedCause;
    assert.deepEqual(
      failed.map(({ cause }) => cause),
      [causes.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS],
    );
    await first.terminate();
  },

  async cancellingAChildInEachWay(bed) {
    const [abandoned, tried, requested, completed] = await Promise.all([
      cancels(bed, 'ABANDON'),
      cancels(bed, 'TRY_CANCEL'),
      cancels(bed, 'WAIT_CANCELLATION_REQUESTED'),
      cancels(bed, 'WAIT_CANCELLATION_COMPLETED'),
    ]);
    assert.deepEqual([abandoned.result, abandoned.kinds], ['cancelled', STARTED]);
    assert.deepEqual([tried.result, tried.kinds], ['cancelled', [...STARTED, REQUEST]]);
    assert.deepEqual([requested.result, requested.kinds.slice(0, 4)], ['cancelled', [...STARTED, REQUEST, REQUESTED]]);
    const all = [...STARTED, REQUEST, REQUESTED, 'CHILD_WORKFLOW_EXECUTION_CANCELED'];
    assert.deepEqual([completed.result, completed.kinds], ['cancelled', all]);
    for (const { child } of [requested, completed]) {
      assert((await failure(child.result())) instanceof CancelledFailure);
    }
    // A parent that ends with its request no longer sends it.
    for (const { child } of [abandoned, tried]) {
      assert.equal((await child.describe()).status.name, 'RUNNING');
      await child.terminate();
    }
  },

  async aTerminatedParentTakesItsChildAlong(bed) {
    const handle = await bed.client.workflow.start(workflows.parentOf, bed.on({ args: ['waits'] as [string] }));
    await hasEvent(handle, 'CHILD_WORKFLOW_EXECUTION_STARTED');
    const pending = (await handle.describe()).raw.pendingChildren ?? [];
    assert.deepEqual(
      pending.map(({ workflowTypeName }) => workflowTypeName),
      ['child'],
    );
    await handle.terminate();
    const child = bed.client.workflow.getHandle(pending[0]!.workflowId!, pending[0]!.runId!);
    await eventually('the child is terminated', async () => (await child.describe()).status.name === 'TERMINATED');
  },

  async messagesToOthers(bed) {
    const { workflow } = bed.client;
    const target = await workflow.start(workflows.parentOf, bed.on({ args: ['waits'] as [string] }));
    await hasEvent(target, 'CHILD_WORKFLOW_EXECUTION_STARTED');
    const child = (await target.describe()).raw.pendingChildren![0]!.workflowId!;
    const signalled = await workflow.execute(workflows.signalsAnother, bed.on({ args: [child, 'from afar'] as [string, string] }));
    assert.equal(signalled, 'signalled');
    assert.equal(await target.result(), `from afar, ${target.workflowId}`);

    const slow = await workflow.start(workflows.slowToStop, bed.on({}));
    assert.equal(await workflow.execute(workflows.cancelsAnother, bed.on({ args: [slow.workflowId] as [string] })), 'requested');
    assert((await failure(slow.result())) instanceof CancelledFailure);

    for (const gone of [slow.workflowId, bed.id()]) {
      const late = bed.on({ args: [gone, 'too late'] as [string, string] });
      assert.equal(await workflow.execute(workflows.signalsAnother, late), 'ApplicationFailure');
      const asked = await workflow.execute(workflows.cancelsAnother, bed.on({ args: [gone] as [string] }));
      // One that has ended is as good as cancelled.
      assert.equal(asked, gone === slow.workflowId ? 'requested' : 'ApplicationFailure');
    }
    await raises(WorkflowNotFoundError, workflow.getHandle(slow.workflowId).signal(workflows.letChildGo, 'late'));
  },
};
