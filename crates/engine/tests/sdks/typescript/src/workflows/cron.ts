import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';

/** Fails in its second run; the others tell what they know of the one before. */
export async function ticks(): Promise<string> {
  const { cronSchedule, lastResult, lastFailure } = workflowInfo();
  const before = (lastResult as string | undefined) ?? '';
  if (before === '' || lastFailure !== undefined) return `${before}${cronSchedule}/${lastFailure?.message ?? 'well'};`;
  throw ApplicationFailure.create({ message: 'out of step', nonRetryable: true });
}
