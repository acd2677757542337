// Timers: fired, cancelled, and many at once.

import assert from 'node:assert/strict';
import { eventTypes, type Scenario } from '../harness';
import * as workflows from '../workflows/timers';

export const scenarios: Record<string, Scenario> = {
  async theFirstWinsAndTheOtherIsCancelled(bed) {
    const handle = await bed.client.workflow.start(workflows.races, bed.on({}));
    assert.equal(await handle.result(), 'quick');
    const kinds = (await eventTypes(handle)).filter((kind) => kind.startsWith('TIMER'));
    assert.deepEqual(kinds, ['TIMER_STARTED', 'TIMER_STARTED', 'TIMER_FIRED', 'TIMER_CANCELED']);
  },

  async manyFireInTheOrderOfTheirTimes(bed) {
    const options = bed.on({ args: [8] as [number] });
    assert.deepEqual(await bed.client.workflow.execute(workflows.manyTimers, options), [7, 6, 5, 4, 3, 2, 1, 0]);
  },

  async aConditionTimesOut(bed) {
    assert.equal(await bed.client.workflow.execute(workflows.conditionTimesOut, bed.on({})), false);
  },
};
