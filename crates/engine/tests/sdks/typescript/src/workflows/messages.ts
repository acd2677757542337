import { condition, defineQuery, defineSignal, setDefaultSignalHandler, setHandler, sleep } from '@temporalio/workflow';

export const add = defineSignal<[string, number]>('add');
export const close = defineSignal('close');
export const count = defineQuery<number>('count');
export const broken = defineQuery<number, [string]>('broken');

export async function inbox(): Promise<string[]> {
  const seen: string[] = [];
  let closed = false;
  let busy = 0;
  setHandler(add, async (text, number) => {
    busy += 1;
    await sleep(10);
    seen.push(`${text}${number}`);
    busy -= 1;
  });
  setHandler(close, () => void (closed = true));
  setDefaultSignalHandler((name, ...args) => void seen.push(`${name}/${args.length}`));
  setHandler(count, () => seen.length);
  setHandler(broken, (why) => {
    throw new Error(why);
  });
  await condition(() => closed && busy === 0);
  return seen;
}
