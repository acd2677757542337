// Activities without a workflow: started, waited for, described, listed, cancelled, terminated.

import assert from 'node:assert/strict';
import { activityInfo, ApplicationFailure, cancelled, CompleteAsyncError, heartbeat } from '@temporalio/activity';
import { ActivityExecutionAlreadyStartedError, ActivityExecutionFailedError, ActivityNotFoundError } from '@temporalio/client';
import { CancelledFailure, TerminatedFailure, TimeoutFailure } from '@temporalio/common';
import { type Bed, causes, eventually, raises, type Scenario } from '../harness';

export const activities = {
  async double(number: number): Promise<number> {
    return 2 * number;
  },

  async onceMore(): Promise<number> {
    const { attempt } = activityInfo();
    if (attempt < 3) throw ApplicationFailure.create({ message: `attempt ${attempt}`, type: 'Early' });
    return attempt;
  },

  async hopeless(): Promise<void> {
    throw ApplicationFailure.nonRetryable('no use', 'Final', 1);
  },

  /** Waits until it is cancelled. */
  async waits(): Promise<void> {
    const beat = setInterval(() => heartbeat({ alive: true }), 20);
    try {
      await cancelled();
    } finally {
      clearInterval(beat);
    }
  },

  async elsewhere(): Promise<string> {
    throw new CompleteAsyncError();
  },

  /** Heeds nothing. */
  async deaf(): Promise<void> {
    await new Promise((done) => setTimeout(done, 1_500));
  },
};

function options(bed: Bed, more: object = {}) {
  return { id: bed.id(), taskQueue: bed.queue, startToCloseTimeout: 30_000, retry: { initialInterval: 20 }, ...more };
}

async function failed(work: Promise<unknown>): Promise<Error> {
  const { cause } = await raises(ActivityExecutionFailedError, work);
  assert(cause instanceof Error);
  return cause;
}

export const scenarios: Record<string, Scenario> = {
  async aResultComesBack(bed) {
    assert.equal(await bed.client.activity.execute('double', options(bed, { args: [21] })), 42);
    assert.equal(await bed.client.activity.execute('onceMore', options(bed)), 3);
  },

  async whatItIsCanBeSeen(bed) {
    const handle = await bed.client.activity.start('double', options(bed, { args: [4], summary: 'twice' }));
    assert.equal(await handle.result(), 8);
    assert.equal(await bed.client.activity.getHandle(handle.activityId).result(), 8);
    const found = await handle.describe({ includeInput: true, includeOutcome: true });
    assert.deepEqual([found.status, found.activityType, found.attempt], ['COMPLETED', 'double', 1]);
    assert.deepEqual([await found.getInput(), await found.getResult()], [[4], 8]);
    assert.equal(found.startToCloseTimeoutMs, 30_000);
    assert(found.closeTime! >= found.scheduleTime!);
  },

  async failuresAreTold(bed) {
    const hopeless = await failed(bed.client.activity.execute('hopeless', options(bed)));
    assert.deepEqual(causes(hopeless), ['ApplicationFailure: no use']);
    const tired = await failed(bed.client.activity.execute('onceMore', options(bed, { retry: { maximumAttempts: 1 } })));
    assert.deepEqual(causes(tired), ['ApplicationFailure: attempt 1']);
    const late = options(bed, { startToCloseTimeout: 300, retry: { maximumAttempts: 1 } });
    const timedOut = await failed(bed.client.activity.execute('deaf', late));
    assert(timedOut instanceof TimeoutFailure && timedOut.timeoutType === 'START_TO_CLOSE');
  },

  async anIdIsTakenWhileItRuns(bed) {
    const taken = options(bed);
    const handle = await bed.client.activity.start('waits', taken);
    await raises(ActivityExecutionAlreadyStartedError, bed.client.activity.start('waits', taken));
    const same = await bed.client.activity.start('waits', { ...taken, idConflictPolicy: 'USE_EXISTING' });
    assert.equal(same.runId, handle.runId);
    await handle.terminate('enough');
    assert((await failed(handle.result())) instanceof TerminatedFailure);
    const rejected = bed.client.activity.start('double', { ...taken, args: [1], idReusePolicy: 'REJECT_DUPLICATE' });
    await raises(ActivityExecutionAlreadyStartedError, rejected);
    assert.equal(await bed.client.activity.execute('double', { ...taken, args: [1] }), 2);
  },

  async aCancellationIsHeard(bed) {
    const handle = await bed.client.activity.start('waits', options(bed, { heartbeatTimeout: 5_000 }));
    await eventually('it beats', async () => (await handle.describe()).lastHeartbeatTime !== undefined);
    await handle.cancel('no more need');
    assert((await failed(handle.result())) instanceof CancelledFailure);
    const found = await handle.describe();
    assert.deepEqual([found.status, found.canceledReason], ['CANCELED', 'no more need']);
  },

  async itIsListedAndCounted(bed) {
    const ids = new Set<string>();
    for (let number = 0; number < 3; number++) {
      const handle = await bed.client.activity.start('elsewhere', options(bed));
      ids.add(handle.activityId);
    }
    const query = `ActivityType = 'elsewhere' AND ExecutionStatus = 'Running'`;
    await eventually('all are counted', async () => (await bed.client.activity.count(query)).count === 3);
    const listed = new Set<string>();
    for await (const each of bed.client.activity.list(query)) listed.add(each.activityId);
    assert.deepEqual(listed, ids);
    const [first] = ids;
    await eventually('it is started', async () => {
      const found = await bed.client.activity.getHandle(first!).describe();
      return found.runState === 'STARTED';
    });
    await bed.client.activity.complete({ activityId: first! }, 'from here');
    assert.equal(await bed.client.activity.getHandle(first!).result(), 'from here');
    for (const id of [...ids].slice(1)) await bed.client.activity.getHandle(id).terminate('enough');
    for (const call of [
      () => bed.client.activity.getHandle('nobody').describe(),
      () => bed.client.activity.getHandle('nobody').cancel('why'),
      () => bed.client.activity.getHandle('nobody').result(),
    ]) {
      await raises(ActivityNotFoundError, call());
    }
  },
};
