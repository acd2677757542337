// Workers: with and without a cache, shut down in the middle, replaying histories; resets; patches; completion by others.

import assert from 'node:assert/strict';
import { activityInfo, CompleteAsyncError } from '@temporalio/activity';
import { ActivityCancelledError, ActivityNotFoundError } from '@temporalio/client';
import { CancelledFailure, TerminatedFailure } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { DeterminismViolationError } from '@temporalio/workflow';
import { Worker } from '@temporalio/worker';
import { activityStarted, type Bed, BUNDLE, causes, events, eventTypes, eventually, failure, hasEvent } from '../harness';
import { raises, type Scenario } from '../harness';
import * as workflows from '../workflows/workers';

const tokens = new Map<string, Uint8Array>();

export const activities = {
  async tell(text: string): Promise<string> {
    return text;
  },

  async leave(): Promise<string> {
    tokens.set(activityInfo().workflowExecution!.workflowId, activityInfo().taskToken);
    throw new CompleteAsyncError();
  },
};

function walk(bed: Bed, length: number, taskQueue = bed.queue) {
  return bed.client.workflow.start(workflows.walks, { workflowId: bed.id(), taskQueue, args: [length] });
}

/** Starts an activity that others complete, and waits for its token. */
async function left(bed: Bed) {
  const handle = await bed.client.workflow.start(workflows.leavesItToOthers, bed.on({}));
  await activityStarted(handle);
  return { handle, token: await eventually('a token', async () => tokens.get(handle.workflowId)) };
}

const EXPECTED = ['step 1', 'step 2', 'step 3'];

export const scenarios: Record<string, Scenario> = {
  async withoutACache(bed) {
    const taskQueue = `${bed.queue}-uncached`;
    const worker = await bed.worker({ taskQueue, maxCachedWorkflows: 0 });
    await worker.runUntil(async () => {
      const handle = await walk(bed, 3, taskQueue);
      for (let made = 1; made <= 3; made++) {
        await handle.signal(workflows.step);
        await eventually(`${made} steps`, async () => (await handle.query(workflows.steps)) === made);
      }
      assert.deepEqual(await handle.result(), EXPECTED);
      // Each of its tasks went to the normal queue.
      const queues = (await events(handle)).flatMap((one) => one.workflowTaskScheduledEventAttributes?.taskQueue ?? []);
      assert.deepEqual(new Set(queues.map(({ name }) => name)), new Set([taskQueue]));
    });
  },

  async aSmallCacheForManyWorkflows(bed) {
    const taskQueue = `${bed.queue}-small`;
    const worker = await bed.worker({ taskQueue, maxCachedWorkflows: 2, maxConcurrentWorkflowTaskExecutions: 2 });
    await worker.runUntil(async () => {
      const handles = await Promise.all(Array.from({ length: 6 }, () => walk(bed, 3, taskQueue)));
      for (let made = 1; made <= 3; made++) {
        await Promise.all(handles.map((handle) => handle.signal(workflows.step)));
        await Promise.all(
          handles.map((handle) => eventually(`${made} steps`, async () => (await handle.query(workflows.steps)) >= made)),
        );
      }
      for (const handle of handles) assert.deepEqual(await handle.result(), EXPECTED);
    });
  },

  async anotherWorkerGoesOn(bed) {
    const taskQueue = `${bed.queue}-handover`;
    const first = await bed.worker({ taskQueue });
    const handle = await first.runUntil(async () => {
      const handle = await walk(bed, 3, taskQueue);
      await handle.signal(workflows.step);
      await eventually('one step', async () => (await handle.query(workflows.steps)) === 1);
      return handle;
    });
    // Nobody is there now; what comes in waits.
    await handle.signal(workflows.step);
    const second = await bed.worker({ taskQueue });
    await second.runUntil(async () => {
      await eventually('two steps', async () => (await handle.query(workflows.steps)) === 2);
      assert.equal(await handle.executeUpdate(workflows.ask), 2);
      await handle.signal(workflows.step);
      assert.deepEqual(await handle.result(), EXPECTED);
    });
  },

  async historiesReplay(bed) {
    const handle = await walk(bed, 1);
    assert.equal(await handle.executeUpdate(workflows.ask), 0);
    await handle.signal(workflows.step);
    await handle.result();
    const history = await handle.fetchHistory();
    await Worker.runReplayHistory({ workflowBundle: BUNDLE }, history, handle.workflowId);
    const started = history.events![0]!.workflowExecutionStartedEventAttributes!;
    started.workflowType!.name = 'patchedWalk';
    await raises(DeterminismViolationError, Worker.runReplayHistory({ workflowBundle: BUNDLE }, history));
  },

  async aPatchIsAMarkerAndAnAttribute(bed) {
    const handle = await bed.client.workflow.start(workflows.patchedWalk, bed.on({}));
    await handle.signal(workflows.step);
    assert.equal(await handle.result(), 'new');
    const kinds = await eventTypes(handle);
    assert.deepEqual(kinds.filter((kind) => /MARKER|UPSERT/.test(kind)), [
      'MARKER_RECORDED',
      'UPSERT_WORKFLOW_SEARCH_ATTRIBUTES',
    ]);
    assert.match(JSON.stringify((await handle.describe()).searchAttributes), /TemporalChangeVersion.*the new way/);
  },

  async aResetGoesOnFromTheFirstTask(bed) {
    const handle = await walk(bed, 2);
    await handle.signal(workflows.step);
    await eventually('one step', async () => (await handle.query(workflows.steps)) === 1);
    await handle.signal(workflows.step);
    await handle.result();
    const completed = (await events(handle)).find((one) => one.workflowTaskCompletedEventAttributes)!;
    const { runId } = await bed.client.workflowService.resetWorkflowExecution({
      namespace: bed.namespace,
      workflowExecution: { workflowId: handle.workflowId, runId: handle.firstExecutionRunId },
      workflowTaskFinishEventId: completed.eventId,
      requestId: bed.id(),
      reason: 'once more',
    });
    const next = bed.client.workflow.getHandle<typeof workflows.walks>(handle.workflowId, runId);
    // The signals are applied again.
    assert.deepEqual(await next.result(), EXPECTED.slice(0, 2));
    const failed = (await events(next)).flatMap((one) => one.workflowTaskFailedEventAttributes ?? []);
    const causes = temporal.api.enums.v1.WorkflowTaskFailedCause;
    assert.deepEqual(
      failed.map(({ cause, baseRunId }) => [cause, baseRunId]),
      [[causes.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW, handle.firstExecutionRunId]],
    );
    const running = await walk(bed, 2);
    await hasEvent(running, 'WORKFLOW_TASK_COMPLETED');
    // Of its own: on a busy machine a first task may have been tried again, and its number is another one.
    const first = (await events(running)).find((one) => one.workflowTaskCompletedEventAttributes)!;
    await bed.client.workflowService.resetWorkflowExecution({
      namespace: bed.namespace,
      workflowExecution: { workflowId: running.workflowId },
      workflowTaskFinishEventId: first.eventId,
      requestId: bed.id(),
      reason: 'in the middle',
    });
    const gone = bed.client.workflow.getHandle(running.workflowId, running.firstExecutionRunId);
    assert((await failure(gone.result())) instanceof TerminatedFailure);
    await bed.client.workflow.getHandle(running.workflowId).terminate();
  },

  async othersFailAnActivity(bed) {
    const { handle, token } = await left(bed);
    await bed.client.activity.heartbeat(token, { seen: true });
    await bed.client.activity.fail(token, new Error('from afar'));
    // The failure is one like any other: it is tried again.
    await eventually('the second attempt', async () => {
      const [pending] = (await handle.describe()).raw.pendingActivities ?? [];
      return pending?.attempt === 2 && pending.lastFailure?.message === 'from afar' && pending.lastStartedTime != null;
    });
    await raises(ActivityNotFoundError, bed.client.activity.complete(token, 'by the old token'));
    await bed.client.activity.complete({ workflowId: handle.workflowId, activityId: '1' }, 'in the end');
    assert.equal(await handle.result(), 'in the end');
  },

  async othersAreToldOfACancellation(bed) {
    const { handle, token } = await left(bed);
    await handle.cancel();
    await hasEvent(handle, 'ACTIVITY_TASK_CANCEL_REQUESTED');
    await raises(ActivityCancelledError, bed.client.activity.heartbeat(token, 'still here'));
    await bed.client.activity.reportCancellation(token, ['cleaned up']);
    const error = await failure(handle.result());
    assert(error instanceof CancelledFailure, causes(error).join());
    assert((await eventTypes(handle)).includes('ACTIVITY_TASK_CANCELED'));
    await raises(ActivityNotFoundError, bed.client.activity.heartbeat(token));
  },

  async aRunKnowsItsLength(bed) {
    const options = bed.on({ staticSummary: 'a short one', staticDetails: 'of *two* tasks' });
    const handle = await bed.client.workflow.start(workflows.measures, options);
    assert.deepEqual(await handle.result(), [8, false]);
    const found = await handle.describe();
    assert.deepEqual([await found.staticSummary(), await found.staticDetails()], ['a short one', 'of *two* tasks']);
    assert.equal(found.historyLength, (await events(handle)).length);
    assert(found.historySize! > 0);
  },
};
