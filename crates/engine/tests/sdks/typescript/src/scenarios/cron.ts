// A cron schedule: run after run, each with the last result and the last failure.

import assert from 'node:assert/strict';
import { WorkflowContinuedAsNewError, WorkflowFailedError } from '@temporalio/client';
import { events, raises, type Scenario } from '../harness';
import * as workflows from '../workflows/cron';

export const scenarios: Record<string, Scenario> = {
  async eachRunKnowsTheOneBefore(bed) {
    const { workflow } = bed.client;
    const handle = await workflow.start(workflows.ticks, bed.on({ cronSchedule: '@every 1s' }));
    /** How a run ended, and the run after it. */
    const end = async (runId: string) => {
      const run = workflow.getHandle<typeof workflows.ticks>(handle.workflowId, runId, { followRuns: false });
      // To this client, every run that another follows has been continued.
      const { newExecutionRunId } = await raises(WorkflowContinuedAsNewError, run.result());
      const last = (await events(run)).at(-1)!;
      const { workflowExecutionCompletedEventAttributes: completed, workflowExecutionFailedEventAttributes: failed } = last;
      assert.equal((completed ?? failed)!.newExecutionRunId, newExecutionRunId);
      const result = completed && Buffer.from(completed.result!.payloads![0]!.data!).toString();
      return { how: result ?? failed!.failure!.message, next: newExecutionRunId };
    };
    const first = await end(handle.firstExecutionRunId);
    const second = await end(first.next);
    const third = await end(second.next);
    assert.deepEqual(
      [first.how, second.how, third.how],
      ['"@every 1s/well;"', 'out of step', '"@every 1s/well;@every 1s/out of step;"'],
    );
    const started = (await events(workflow.getHandle(handle.workflowId, third.next)))[0]!.workflowExecutionStartedEventAttributes!;
    assert.deepEqual(
      [started.cronSchedule, started.firstExecutionRunId, started.continuedExecutionRunId],
      ['@every 1s', handle.firstExecutionRunId, second.next],
    );
    await workflow.getHandle(handle.workflowId).terminate('enough');
    const error = await raises(WorkflowFailedError, handle.result());
    assert.equal(error.cause!.message, 'enough');
  },
};
