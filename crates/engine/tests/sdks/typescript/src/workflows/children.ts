import {
  CancellationScope,
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  condition,
  continueAsNew,
  defineSignal,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';

export const letChildGo = defineSignal<[string]>('letChildGo');
export const cancelChild = defineSignal('cancelChild');

/** Says who it is and whose, when it is let go. */
export async function child(how: string): Promise<string> {
  let told: string | undefined;
  setHandler(letChildGo, (text) => void (told = text));
  if (how === 'at once') return how;
  if (how === 'fails') throw ApplicationFailure.create({ message: 'the child', type: 'Sick', nonRetryable: true });
  if (how.startsWith('continues')) {
    const left = Number(how.at(-1));
    if (left > 0) await continueAsNew<typeof child>(`continues ${left - 1}`);
    return `after all, ${workflowInfo().parent!.workflowId}`;
  }
  await condition(() => told !== undefined);
  return `${told}, ${workflowInfo().parent!.workflowId}`;
}

export async function parentOf(how: string): Promise<string> {
  return await executeChild(child, { args: [how] });
}

export async function parentThatSignals(): Promise<string> {
  const handle = await startChild(child, { args: ['waits'] });
  await handle.signal(letChildGo, 'signalled');
  return await handle.result();
}

export async function tellsOfAFailingChild(): Promise<string[]> {
  try {
    await executeChild(child, { args: ['fails'], retry: { maximumAttempts: 3 } });
    return [];
  } catch (error) {
    if (!(error instanceof ChildWorkflowFailure)) throw error;
    const cause = error.cause as ApplicationFailure;
    return [error.workflowType!, error.retryState!, cause.message, cause.type!];
  }
}

/** Starts a child under the id, and ends while that runs. */
export async function leavesAChild(childId: string, policy: ParentClosePolicy): Promise<void> {
  await startChild(child, { args: ['waits'], workflowId: childId, parentClosePolicy: policy });
}

export async function startsATakenId(childId: string): Promise<string> {
  try {
    await startChild(child, { args: ['waits'], workflowId: childId });
    return 'started';
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return `${error.workflowType} ${error.workflowId}`;
    throw error;
  }
}

export async function slowToStop(): Promise<string> {
  try {
    await condition(() => false);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    await CancellationScope.nonCancellable(async () => void (await condition(() => false, 200)));
    throw error;
  }
  return 'never';
}

export async function cancelsItsChild(childId: string, cancellationType: ChildWorkflowCancellationType): Promise<string> {
  let stop = false;
  setHandler(cancelChild, () => void (stop = true));
  const scope = new CancellationScope();
  const options = { workflowId: childId, cancellationType, parentClosePolicy: 'ABANDON' } as const;
  const running = scope.run(() => executeChild(slowToStop, options));
  await condition(() => stop);
  scope.cancel();
  try {
    return await running;
  } catch (error) {
    return isCancellation(error) ? 'cancelled' : String(error);
  }
}

export async function signalsAnother(workflowId: string, text: string): Promise<string> {
  try {
    await getExternalWorkflowHandle(workflowId).signal(letChildGo, text);
    return 'signalled';
  } catch (error) {
    return (error as Error).name;
  }
}

export async function cancelsAnother(workflowId: string): Promise<string> {
  try {
    await getExternalWorkflowHandle(workflowId).cancel();
    return 'requested';
  } catch (error) {
    return (error as Error).name;
  }
}
