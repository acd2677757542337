import { ApplicationFailure, condition } from '@temporalio/workflow';

export async function waitsForEver(): Promise<void> {
  await condition(() => false);
}

export async function nested(): Promise<void> {
  const ground = ApplicationFailure.create({ message: 'the ground', type: 'Ground' });
  const middle = ApplicationFailure.create({ message: 'the middle', type: 'Middle', details: [1, { a: 'b' }], cause: ground });
  throw ApplicationFailure.create({ message: 'the top', type: 'Top', nonRetryable: true, cause: middle });
}

export async function crashes(): Promise<void> {
  throw new Error('a mistake');
}
