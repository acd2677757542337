import { condition, continueAsNew, defineSignal, setHandler, workflowInfo } from '@temporalio/workflow';

export const go = defineSignal<[string]>('go');

export interface Counted {
  seen: string[];
  continued: boolean;
  first: string;
}

export async function counts(left: number, before: string[]): Promise<Counted> {
  const seen = [...before];
  setHandler(go, (text) => void seen.push(text));
  await condition(() => seen.length > before.length);
  if (left > 0) await continueAsNew<typeof counts>(left - 1, seen);
  const { continuedFromExecutionRunId, firstExecutionRunId } = workflowInfo();
  return { seen, continued: continuedFromExecutionRunId !== undefined, first: firstExecutionRunId };
}
