import { ApplicationFailure, condition, continueAsNew, defineQuery, defineSignal, defineUpdate, setHandler, sleep } from '@temporalio/workflow';

export const push = defineUpdate<number, [string]>('push');
export const wait = defineUpdate<string, [string]>('wait');
export const refuse = defineUpdate<void, [string]>('refuse');
export const release = defineSignal('release');
export const stop = defineSignal('stop');
export const pushed = defineQuery<string[]>('pushed');

export async function stack(): Promise<string[]> {
  const seen: string[] = [];
  let released = false;
  let stopped = false;
  const validator = (text: string) => {
    if (text === '') throw ApplicationFailure.create({ message: 'nothing to push', type: 'Empty' });
  };
  setHandler(push, (text) => seen.push(text), { validator });
  setHandler(wait, async (text) => {
    await condition(() => released);
    return `${text} waited`;
  });
  setHandler(refuse, async (why) => {
    await sleep(1);
    throw ApplicationFailure.create({ message: why, type: 'Refused', details: [1] });
  });
  setHandler(release, () => void (released = true));
  setHandler(stop, () => void (stopped = true));
  setHandler(pushed, () => seen);
  await condition(() => stopped);
  return seen;
}

export async function handsOn(round: number): Promise<number> {
  let told = false;
  setHandler(push, () => {
    told = true;
    return round;
  });
  if (round > 1) return round;
  await condition(() => told);
  await continueAsNew<typeof handsOn>(round + 1);
  return 0;
}
