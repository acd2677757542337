import {
  condition,
  defineQuery,
  defineSignal,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';

export const colour = defineSearchAttributeKey('TsColour', 'KEYWORD');
export const amount = defineSearchAttributeKey('TsAmount', 'INT');
export const tags = defineSearchAttributeKey('TsTags', 'KEYWORD_LIST');
export const due = defineSearchAttributeKey('TsDue', 'DATETIME');

export const paint = defineSignal<[string | null]>('paint');
export const done = defineSignal('done');
export const known = defineQuery<{ colour?: string; amount?: number; memo?: Record<string, unknown> }>('known');

export async function painted(): Promise<void> {
  let isDone = false;
  setHandler(paint, (value) => {
    upsertSearchAttributes([
      { key: colour, value },
      { key: amount, value: 40 + (value?.length ?? 0) },
    ]);
    upsertMemo({ last: value ?? undefined, extra: { count: 1 } });
  });
  setHandler(done, () => void (isDone = true));
  setHandler(known, () => {
    const { typedSearchAttributes, memo } = workflowInfo();
    return { colour: typedSearchAttributes.get(colour), amount: typedSearchAttributes.get(amount), memo };
  });
  await condition(() => isDone);
}
