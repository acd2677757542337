import { ActivityFailure, proxyActivities, proxyLocalActivities, sleep, TimeoutFailure } from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import type { activities } from '../scenarios/activities';

type Activities = typeof activities;

const { greet, thirdTimeLucky, resume, elsewhere } = proxyActivities<Activities>({
  startToCloseTimeout: '30s',
  retry: { initialInterval: 50 },
});

export async function greetings(names: string[]): Promise<string[]> {
  return await Promise.all(names.map((name) => greet({ greeting: 'Hello', name })));
}

export async function lucky(): Promise<[number, unknown]> {
  return [await thirdTimeLucky(), await resume()];
}

export async function asynchronous(): Promise<string> {
  return await elsewhere();
}

export async function failing(how: string, attempts: number, nonRetryable: string[]): Promise<void> {
  const { fail } = proxyActivities<Activities>({
    startToCloseTimeout: '30s',
    retry: { initialInterval: 50, maximumAttempts: attempts || undefined, nonRetryableErrorTypes: nonRetryable },
  });
  await fail(how);
}

export async function timingOut(options: ActivityOptions): Promise<string> {
  const { sleepSilently } = proxyActivities<Activities>({ ...options, retry: { maximumAttempts: 1 } });
  try {
    await sleepSilently(3_000);
    return 'slept';
  } catch (error) {
    if (error instanceof ActivityFailure && error.cause instanceof TimeoutFailure) {
      return `${error.cause.timeoutType} ${error.retryState}`;
    }
    throw error;
  }
}

export async function local(failures: number, attempts: number): Promise<number> {
  const { count } = proxyLocalActivities<Activities>({
    startToCloseTimeout: '10s',
    retry: { initialInterval: 20, maximumAttempts: attempts || undefined },
  });
  const counted = await count(failures);
  await sleep(20);
  return counted;
}
