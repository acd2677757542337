// Schedules: made, triggered, paused, filled back, changed, listed, deleted, and what overlaps.

import assert from 'node:assert/strict';
import {
  ScheduleAlreadyRunning,
  type ScheduleHandle,
  ScheduleNotFoundError,
  type ScheduleOptions,
  type ScheduleOverlapPolicy,
  type WorkflowHandle,
} from '@temporalio/client';
import { type Bed, eventually, raises, type Scenario } from '../harness';
import * as workflows from '../workflows/schedules';

const DAILY = { calendars: [{ hour: 3, comment: 'at night' }] };

function create(bed: Bed, options: Partial<ScheduleOptions> = {}): Promise<ScheduleHandle> {
  return bed.client.schedule.create({
    scheduleId: bed.id(),
    spec: DAILY,
    action: { type: 'startWorkflow', workflowType: workflows.scheduled, args: ['hello'], taskQueue: bed.queue },
    ...options,
  });
}

/** A schedule of a workflow that runs until it is told to end. */
function createLong(bed: Bed, overlap: ScheduleOverlapPolicy): Promise<ScheduleHandle> {
  const action = { type: 'startWorkflow', workflowType: workflows.scheduledLong, taskQueue: bed.queue } as const;
  return create(bed, { action, policies: { overlap } });
}

/** Waits until so many actions are shown, and gives their runs in order. Those of one second share their workflow id. */
async function actions(bed: Bed, handle: ScheduleHandle, count: number): Promise<WorkflowHandle[]> {
  return await eventually(`${count} actions`, async () => {
    const recent = (await handle.describe()).info.recentActions.map(({ action }) => action.workflow);
    const run = (each: (typeof recent)[0]) => bed.client.workflow.getHandle(each.workflowId, each.firstExecutionRunId);
    return recent.length >= count && recent.map(run);
  });
}

export const scenarios: Record<string, Scenario> = {
  async whatWasCreatedIsDescribed(bed) {
    const handle = await create(bed, {
      spec: {
        calendars: [{ dayOfWeek: ['MONDAY', { start: 'THURSDAY', end: 'FRIDAY' }], hour: { start: 1, end: 9, step: 2 } }],
        intervals: [{ every: '1h', offset: '5m' }],
        cronExpressions: ['30 4 * * *'],
        skip: [{ month: 'DECEMBER' }],
        timezone: 'Europe/Vienna',
        jitter: '2s',
      },
      policies: { overlap: 'BUFFER_ONE', catchupWindow: '2h', pauseOnFailure: true },
      state: { paused: true, note: 'not yet', remainingActions: 7 },
      memo: { who: 'we' },
    });
    const found = await handle.describe();
    assert.equal(found.scheduleId, handle.scheduleId);
    assert.deepEqual(found.policies, { overlap: 'BUFFER_ONE', catchupWindow: 7_200_000, pauseOnFailure: true });
    assert.deepEqual(found.state, { paused: true, note: 'not yet', remainingActions: 7 });
    assert.deepEqual(found.memo, { who: 'we' });
    assert.deepEqual([found.spec.timezone, found.spec.jitter], ['Europe/Vienna', 2000]);
    assert.deepEqual(found.spec.intervals, [{ every: 3_600_000, offset: 300_000 }]);
    assert.deepEqual(
      found.spec.calendars!.map(({ hour, dayOfWeek }) => [hour, dayOfWeek.map(({ start, end }) => `${start} ${end}`)]),
      [
        [[{ start: 1, end: 9, step: 2 }], ['MONDAY MONDAY', 'THURSDAY FRIDAY']],
        [[{ start: 4, end: 4, step: 1 }], ['SUNDAY SATURDAY']],
      ],
    );
    assert.equal(found.spec.skip![0]!.month[0]!.start, 'DECEMBER');
    assert.deepEqual([found.action.workflowType, found.action.args], ['scheduled', ['hello']]);
    assert.equal(found.info.numActionsTaken, 0);
    assert.equal(found.info.nextActionTimes.length, 7);
    await handle.delete();
  },

  async aTriggerStartsItsWorkflow(bed) {
    const handle = await create(bed);
    await handle.trigger();
    const [run] = await actions(bed, handle, 1);
    assert.equal(await run!.result(), 'hello object');
    const { searchAttributes } = await run!.describe();
    assert.deepEqual(searchAttributes.TemporalScheduledById, [handle.scheduleId]);
    await eventually('nothing runs', async () => (await handle.describe()).info.runningActions.length === 0);
    assert.equal((await handle.describe()).info.numActionsTaken, 1);
    await handle.delete();
  },

  async itStartsAtOnceAndFillsBackWhenAsked(bed) {
    const start = new Date('2024-01-01T00:00:00Z');
    const end = new Date('2024-01-03T12:00:00Z');
    const handle = await create(bed, { state: { triggerImmediately: true, backfill: [{ start, end, overlap: 'ALLOW_ALL' }] } });
    const ids = (await actions(bed, handle, 4)).map(({ workflowId }) => workflowId);
    const nights = ids.filter((id) => /2024-01-0[123]T03:00:00Z$/.test(id));
    assert.equal(nights.length, 3, ids.join());
    await handle.backfill({ start: new Date('2023-12-31T00:00:00Z'), end: start, overlap: 'ALLOW_ALL' });
    await actions(bed, handle, 5);
    await handle.delete();
  },

  async anIntervalTicks(bed) {
    const handle = await create(bed, { spec: { intervals: [{ every: '1s' }] }, state: { remainingActions: 2 } });
    await eventually('nothing remains', async () => (await handle.describe()).state.remainingActions === 0);
    const runs = await actions(bed, handle, 2);
    assert.deepEqual(
      await Promise.all(runs.map((run) => run.result())),
      ['hello object', 'hello object'],
    );
    await handle.delete();
  },

  async pausesAreNoted(bed) {
    const handle = await create(bed);
    const state = async () => {
      const { paused, note } = (await handle.describe()).state;
      return { paused, note };
    };
    await handle.pause('because');
    await eventually('paused', async () => (await state()).paused);
    assert.deepEqual(await state(), { paused: true, note: 'because' });
    await handle.unpause('no more');
    await eventually('going on', async () => !(await state()).paused);
    assert.deepEqual(await state(), { paused: false, note: 'no more' });
    await handle.delete();
  },

  async anUpdateReplacesAll(bed) {
    const handle = await create(bed, { memo: { kept: 1 } });
    await handle.update((before) => ({
      spec: { intervals: [{ every: '10m' }] },
      action: { ...before.action, args: ['changed'] },
      policies: { ...before.policies, overlap: 'ALLOW_ALL' },
      state: { paused: true, note: 'changed' },
    }));
    await eventually('it is changed', async () => (await handle.describe()).state.note === 'changed');
    const after = await handle.describe();
    assert.deepEqual(
      after.spec.intervals!.map(({ every }) => every),
      [600_000],
    );
    assert.deepEqual([after.spec.calendars, after.policies.overlap, after.memo], [[], 'ALLOW_ALL', { kept: 1 }]);
    assert(after.info.lastUpdatedAt! >= after.info.createdAt);
    await handle.trigger();
    const [run] = await actions(bed, handle, 1);
    assert.equal(await run!.result(), 'changed object');
    await handle.delete();
  },

  async whatOverlaps(bed) {
    const [skip, one, cancel, terminate] = await Promise.all(
      (['SKIP', 'BUFFER_ONE', 'CANCEL_OTHER', 'TERMINATE_OTHER'] as const).map((policy) => createLong(bed, policy)),
    );
    const status = async (run: WorkflowHandle) => (await run.describe()).status.name;
      for (const handle of [skip!, one!, cancel!, terminate!]) {
      // Without a policy, a trigger's own is to allow all; and what is allowed to overlap stands in nobody's way.
      await handle.trigger('SKIP');
      await actions(bed, handle, 1);
    }
    await skip!.trigger('SKIP');
    await eventually('one is skipped', async () => (await skip!.describe()).info.numActionsSkippedOverlap === 1);
    await one!.trigger('BUFFER_ONE');
    const [first] = await actions(bed, one!, 1);
    await first!.signal(workflows.finishScheduled);
    const [, second] = await actions(bed, one!, 2);
    assert.equal(await status(second!), 'RUNNING');
    for (const [handle, policy, expected] of [
      [cancel!, 'CANCEL_OTHER', 'CANCELLED'],
      [terminate!, 'TERMINATE_OTHER', 'TERMINATED'],
    ] as const) {
      await handle.trigger(policy);
      const [earlier] = await actions(bed, handle, 2);
      await eventually(`the earlier is ${expected}`, async () => (await status(earlier!)) === expected);
    }
    for (const handle of [skip!, one!, cancel!, terminate!]) {
      for (const { workflow } of (await handle.describe()).info.runningActions) await bed.client.workflow.getHandle(workflow.workflowId).terminate();
      await handle.delete();
    }
  },

  async listsAndWhatIsNotThere(bed) {
    const scheduleId = bed.id();
    const handle = await create(bed, { scheduleId, memo: { listed: true }, state: { paused: true, note: 'in a list' } });
    await raises(ScheduleAlreadyRunning, create(bed, { scheduleId }));
    const listed = await eventually('it is listed', async () => {
      for await (const each of bed.client.schedule.list({ pageSize: 2 })) if (each.scheduleId === scheduleId) return each;
      return undefined;
    });
    assert.deepEqual(listed.state, { paused: true, note: 'in a list' });
    assert.deepEqual([listed.memo, listed.action!.workflowType], [{ listed: true }, 'scheduled']);
    await handle.delete();
    for (const call of [
      () => handle.describe(),
      () => handle.delete(),
      () => handle.trigger(),
      () => handle.pause(),
    ]) {
      await raises(ScheduleNotFoundError, call());
    }
    await eventually('it is listed no more', async () => {
      for await (const each of bed.client.schedule.list()) if (each.scheduleId === scheduleId) return false;
      return true;
    });
  },
};
