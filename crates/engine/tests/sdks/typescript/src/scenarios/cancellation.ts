// Cancellation: of an activity in each of the ways a workflow may wait for it, and of the workflow.

import assert from 'node:assert/strict';
import { cancelled, CancelledFailure, Context, heartbeat, sleep } from '@temporalio/activity';
import { ActivityCancellationType } from '@temporalio/common';
import { activityStarted, type Bed, eventTypes, eventually, failure, hasEvent, type Scenario } from '../harness';
import * as workflows from '../workflows/cancellation';

const seen = new Set<string>();

export const activities = {
  /** Waits until it is cancelled, and says so in `seen`. */
  async patient(way: string): Promise<string> {
    const beat = setInterval(() => heartbeat(), 20);
    try {
      await Promise.race([cancelled(), sleep(60_000)]);
    } catch (error) {
      if (!(error instanceof CancelledFailure)) throw error;
      seen.add(Context.current().info.workflowExecution!.workflowId);
      if (way !== 'finish') throw error;
    } finally {
      clearInterval(beat);
    }
    return 'finished in spite of it';
  },
};

async function cancels(bed: Bed, type: ActivityCancellationType, way: string) {
  const handle = await bed.client.workflow.start(workflows.cancelsItsActivity, bed.on({ args: [type, way] }));
  await activityStarted(handle);
  await handle.signal(workflows.cancelIt);
  const result = await handle.result();
  const kinds = (await eventTypes(handle)).filter((kind) => kind.startsWith('ACTIVITY'));
  return { result, kinds, id: handle.workflowId };
}

const REQUESTED = ['ACTIVITY_TASK_SCHEDULED', 'ACTIVITY_TASK_CANCEL_REQUESTED'];

export const scenarios: Record<string, Scenario> = {
  async tryingDoesNotWait(bed) {
    const { result, kinds } = await cancels(bed, ActivityCancellationType.TRY_CANCEL, 'throw');
    assert.deepEqual([result, kinds], ['cancelled', REQUESTED]);
  },

  async waitingSeesTheEnd(bed) {
    const { result, kinds, id } = await cancels(bed, ActivityCancellationType.WAIT_CANCELLATION_COMPLETED, 'throw');
    assert.deepEqual([result, kinds], ['cancelled', [...REQUESTED, 'ACTIVITY_TASK_STARTED', 'ACTIVITY_TASK_CANCELED']]);
    assert(seen.has(id));
  },

  async anActivityMayFinishInSpiteOfIt(bed) {
    const { result, kinds } = await cancels(bed, ActivityCancellationType.WAIT_CANCELLATION_COMPLETED, 'finish');
    assert.deepEqual([result, kinds.at(-1)], ['finished in spite of it', 'ACTIVITY_TASK_COMPLETED']);
  },

  async anAbandonedActivityIsNotTold(bed) {
    const { result, kinds, id } = await cancels(bed, ActivityCancellationType.ABANDON, 'throw');
    assert.deepEqual([result, kinds], ['cancelled', ['ACTIVITY_TASK_SCHEDULED']]);
    // Its run is closed: the next heartbeat finds nobody.
    await eventually('the activity is told that nobody waits', async () => seen.has(id));
  },

  async aCancelledWorkflowCleansUp(bed) {
    const handle = await bed.client.workflow.start(workflows.cleansUp, bed.on({}));
    await hasEvent(handle, 'TIMER_STARTED');
    await handle.cancel();
    assert((await failure(handle.result())) instanceof CancelledFailure);
    const kinds = await eventTypes(handle);
    assert(kinds.includes('TIMER_CANCELED') && kinds.includes('TIMER_FIRED'), kinds.join());
    assert.equal((await handle.describe()).status.name, 'CANCELLED');
  },
};
