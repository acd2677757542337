// Continue-as-new: what is carried over, and how a handle follows.

import assert from 'node:assert/strict';
import { WorkflowContinuedAsNewError } from '@temporalio/client';
import { raises, type Scenario } from '../harness';
import * as workflows from '../workflows/continue_as_new';

export const scenarios: Record<string, Scenario> = {
  async aChainIsOneWorkflowToItsCaller(bed) {
    const { workflow } = bed.client;
    const handle = await workflow.start(workflows.counts, bed.on({ args: [2, []] as [number, string[]] }));
    const current = workflow.getHandle(handle.workflowId);
    for (const text of ['a', 'b', 'c']) {
      const { runId } = await current.describe();
      await current.signal(workflows.go, text);
      if (text === 'c') break;
      const old = workflow.getHandle(handle.workflowId, runId, { followRuns: false });
      const { newExecutionRunId } = await raises(WorkflowContinuedAsNewError, old.result());
      assert.equal((await current.describe()).runId, newExecutionRunId);
      assert.equal((await old.describe()).status.name, 'CONTINUED_AS_NEW');
    }
    const result = await handle.result();
    assert.deepEqual(result, { seen: ['a', 'b', 'c'], continued: true, first: handle.firstExecutionRunId });
  },
};
