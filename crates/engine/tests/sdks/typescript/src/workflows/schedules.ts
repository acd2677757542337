import { condition, defineSignal, setHandler, workflowInfo } from '@temporalio/workflow';

export const finishScheduled = defineSignal('finishScheduled');

export async function scheduled(text: string): Promise<string> {
  return `${text} ${typeof workflowInfo().searchAttributes.TemporalScheduledById}`;
}

export async function scheduledLong(): Promise<string> {
  let done = false;
  setHandler(finishScheduled, () => void (done = true));
  await condition(() => done);
  return 'done';
}
