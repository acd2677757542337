import { condition, defineQuery, defineSignal, defineUpdate, patched, proxyActivities, setHandler, sleep, workflowInfo } from '@temporalio/workflow';
import type { activities } from '../scenarios/workers';

export const step = defineSignal('step');
export const steps = defineQuery<number>('steps');
export const ask = defineUpdate<number>('ask');

const { tell, leave } = proxyActivities<typeof activities>({
  startToCloseTimeout: '60s',
  retry: { initialInterval: 20 },
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
});

/** Ends after so many signals; an activity and a timer for each. */
export async function walks(length: number): Promise<string[]> {
  let made = 0;
  let due = 0;
  const told: string[] = [];
  setHandler(step, () => void (due += 1));
  setHandler(steps, () => made);
  setHandler(ask, () => due);
  while (made < length) {
    await condition(() => due > made);
    told.push(await tell(`step ${made + 1}`));
    await sleep(10);
    made += 1;
  }
  return told;
}

/** Behaves in two ways, as its patch says. */
export async function patchedWalk(): Promise<string> {
  let due = false;
  setHandler(step, () => void (due = true));
  const way = patched('the new way') ? 'new' : 'old';
  await condition(() => due);
  if (way === 'new') await sleep(1);
  return way;
}

export async function leavesItToOthers(): Promise<string> {
  return await leave();
}

/** How long the history is that the run's worker has seen, and whether it should be continued. */
export async function measures(): Promise<[number, boolean]> {
  await sleep(1);
  const { historyLength, historySize, continueAsNewSuggested } = workflowInfo();
  return [historySize > 0 ? historyLength : -1, continueAsNewSuggested];
}
