import {
  ActivityCancellationType,
  CancellationScope,
  defineSignal,
  isCancellation,
  proxyActivities,
  setHandler,
  condition,
  sleep,
} from '@temporalio/workflow';
import type { activities } from '../scenarios/cancellation';

export const cancelIt = defineSignal('cancelIt');

export async function cancelsItsActivity(cancellationType: ActivityCancellationType, way: string): Promise<string> {
  const { patient } = proxyActivities<typeof activities>({
    startToCloseTimeout: '60s',
    heartbeatTimeout: '1s',
    cancellationType,
  });
  let stop = false;
  setHandler(cancelIt, () => void (stop = true));
  const scope = new CancellationScope();
  const running = scope.run(() => patient(way));
  await condition(() => stop);
  scope.cancel();
  try {
    return await running;
  } catch (error) {
    if (isCancellation(error)) return 'cancelled';
    throw error;
  }
}

export async function cleansUp(): Promise<string> {
  try {
    await sleep('1 hour');
    return 'never';
  } catch (error) {
    if (!isCancellation(error)) throw error;
    await CancellationScope.nonCancellable(() => sleep(10));
    throw error;
  }
}
