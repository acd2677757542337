// Activities: results, retries, time-outs, heartbeats, local ones, completion from elsewhere, failures.

import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { activityInfo, ApplicationFailure, CompleteAsyncError, heartbeat } from '@temporalio/activity';
import { ActivityNotFoundError } from '@temporalio/client';
import { ActivityFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { activityStarted, BUNDLE, causes, events, eventTypes, eventually, failure, raises } from '../harness';
import type { Scenario } from '../harness';
import * as workflows from '../workflows/activities';

const tokens = new Map<string, Uint8Array>();
const counts = new Map<string, number>();

/** The workflow whose activity this is. */
function workflow(): string {
  return activityInfo().workflowExecution!.workflowId;
}

export const activities = {
  async greet({ greeting, name }: { greeting: string; name: string }): Promise<string> {
    return `${greeting}, ${name}!`;
  },

  async thirdTimeLucky(): Promise<number> {
    const { attempt } = activityInfo();
    if (attempt < 3) throw ApplicationFailure.create({ message: 'not yet', type: 'Early' });
    return attempt;
  },

  /** Fails after a heartbeat; the next attempt knows what that said. */
  async resume(): Promise<unknown> {
    const { attempt, heartbeatDetails } = activityInfo();
    if (attempt > 1) return heartbeatDetails;
    heartbeat({ half: 50 });
    throw new Error('in the middle');
  },

  async elsewhere(): Promise<string> {
    tokens.set(workflow(), activityInfo().taskToken);
    throw new CompleteAsyncError();
  },

  async fail(how: string): Promise<void> {
    if (how === 'final') throw ApplicationFailure.nonRetryable('no use', 'Final', { code: 7 });
    const cause = ApplicationFailure.create({ message: 'the ground' });
    throw ApplicationFailure.create({ message: 'the top', type: 'Nested', cause });
  },

  async sleepSilently(ms: number): Promise<void> {
    await wait(ms);
  },

  async count(failures: number): Promise<number> {
    const counted = (counts.get(workflow()) ?? 0) + 1;
    counts.set(workflow(), counted);
    if (counted <= failures) throw new Error('not yet');
    return counted;
  },
};

export const scenarios: Record<string, Scenario> = {
  async resultsComeBack(bed) {
    const options = bed.on({ args: [['Ann', 'Bob']] as [string[]] });
    const result = await bed.client.workflow.execute(workflows.greetings, options);
    assert.deepEqual(result, ['Hello, Ann!', 'Hello, Bob!']);
  },

  async retriesAndHeartbeatDetails(bed) {
    const handle = await bed.client.workflow.start(workflows.lucky, bed.on({}));
    assert.deepEqual(await handle.result(), [3, { half: 50 }]);
    const started = (await events(handle)).flatMap((event) => event.activityTaskStartedEventAttributes ?? []);
    const told = started.map(({ attempt, lastFailure }) => [attempt, lastFailure?.message]);
    assert.deepEqual(told, [
      [3, 'not yet'],
      [2, 'in the middle'],
    ]);
  },

  async failuresArriveWithTheirCauses(bed) {
    const cases: [string, number, string[], string[], string][] = [
      ['nested', 2, [], ['ApplicationFailure: the top', 'ApplicationFailure: the ground'], 'MAXIMUM_ATTEMPTS_REACHED'],
      ['final', 0, [], ['ApplicationFailure: no use'], 'NON_RETRYABLE_FAILURE'],
      ['nested', 0, ['Nested'], ['ApplicationFailure: the top', 'ApplicationFailure: the ground'], 'NON_RETRYABLE_FAILURE'],
    ];
    for (const [how, attempts, types, chain, state] of cases) {
      const error = await failure(bed.client.workflow.execute(workflows.failing, bed.on({ args: [how, attempts, types] })));
      assert(error instanceof ActivityFailure);
      assert.deepEqual(causes(error), ['ActivityFailure: Activity task failed', ...chain]);
      assert.deepEqual([error.activityType, error.retryState], ['fail', state]);
    }
  },

  async everyTimeOutIsToldByItsName(bed) {
    const ends = (options: object) => bed.client.workflow.execute(workflows.timingOut, bed.on({ args: [options] }));
    const found = await Promise.all([
      ends({ startToCloseTimeout: 500 }),
      ends({ startToCloseTimeout: 30_000, heartbeatTimeout: 500 }),
      ends({ startToCloseTimeout: 30_000, scheduleToCloseTimeout: 500 }),
      ends({ startToCloseTimeout: 30_000, scheduleToStartTimeout: 500, taskQueue: 'nobody' }),
    ]);
    assert.deepEqual(found, [
      'START_TO_CLOSE MAXIMUM_ATTEMPTS_REACHED',
      'HEARTBEAT MAXIMUM_ATTEMPTS_REACHED',
      'SCHEDULE_TO_CLOSE TIMEOUT',
      'SCHEDULE_TO_START TIMEOUT',
    ]);
  },

  async completionFromElsewhere(bed) {
    const byToken = await bed.client.workflow.start(workflows.asynchronous, bed.on({}));
    await activityStarted(byToken);
    const token = await eventually('a token', async () => tokens.get(byToken.workflowId));
    await bed.client.activity.heartbeat(token, 'half');
    await bed.client.activity.complete(token, 'by token');
    assert.equal(await byToken.result(), 'by token');
    await raises(ActivityNotFoundError, bed.client.activity.complete(token, 'again'));

    const byId = await bed.client.workflow.start(workflows.asynchronous, bed.on({}));
    await activityStarted(byId);
    await bed.client.activity.complete({ workflowId: byId.workflowId, activityId: '1' }, 'by id');
    assert.equal(await byId.result(), 'by id');
  },

  async localActivitiesLeaveMarkers(bed) {
    const handle = await bed.client.workflow.start(workflows.local, bed.on({ args: [1, 0] as [number, number] }));
    assert.equal(await handle.result(), 2);
    const kinds = await eventTypes(handle);
    assert(kinds.includes('MARKER_RECORDED') && !kinds.includes('ACTIVITY_TASK_SCHEDULED'), kinds.join());
    await Worker.runReplayHistory({ workflowBundle: BUNDLE }, await handle.fetchHistory(), handle.workflowId);
    assert.equal(counts.get(handle.workflowId), 2);
    const hopeless = bed.client.workflow.execute(workflows.local, bed.on({ args: [9, 2] as [number, number] }));
    assert.equal(causes(await failure(hopeless)).at(-1), 'ApplicationFailure: not yet');
  },
};
