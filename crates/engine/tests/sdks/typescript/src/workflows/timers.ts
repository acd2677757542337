import { CancellationScope, condition, isCancellation, sleep } from '@temporalio/workflow';

export async function races(): Promise<string> {
  const scope = new CancellationScope();
  const slow = scope.run(() => sleep('1 hour')).catch((error) => {
    if (!isCancellation(error)) throw error;
  });
  await sleep(50);
  scope.cancel();
  await slow;
  return 'quick';
}

export async function manyTimers(count: number): Promise<number[]> {
  const order: number[] = [];
  const one = async (number: number) => {
    await sleep(50 + 50 * (count - number));
    order.push(number);
  };
  await Promise.all(Array.from({ length: count }, (_, number) => one(number)));
  return order;
}

export async function conditionTimesOut(): Promise<boolean> {
  return await condition(() => false, 100);
}
