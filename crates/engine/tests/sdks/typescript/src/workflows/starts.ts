import { ApplicationFailure, condition, defineSignal, setHandler, workflowInfo } from '@temporalio/workflow';

export const finish = defineSignal<[string]>('finish');

export async function waitsToFinish(): Promise<string> {
  let how: string | undefined;
  setHandler(finish, (given) => void (how = given));
  await condition(() => how !== undefined);
  if (how === 'fail') throw ApplicationFailure.create({ message: 'as told' });
  return how!;
}

export async function quick(): Promise<string> {
  return 'quick';
}

export async function again(succeedsAt: number): Promise<number> {
  const { attempt } = workflowInfo();
  if (attempt < succeedsAt) throw ApplicationFailure.create({ message: `attempt ${attempt}` });
  return attempt;
}
