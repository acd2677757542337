// What the scenarios share: a client, workers, and a few ways of looking.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { DescribeWorkflowExecutionResponse } from '@temporalio/client/lib/types';
import { temporal } from '@temporalio/proto';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';

/** All scenarios' workflows, as one bundle. */
export const BUNDLE = { codePath: join(__dirname, 'workflows.bundle.js') };

// Long enough for a busy machine; nothing that passes comes near it.
const PATIENCE = 60_000;

/** An engine under test. */
export class Bed {
  constructor(
    readonly client: Client,
    readonly native: NativeConnection,
    readonly namespace: string,
    readonly queue: string,
    readonly activities: object,
  ) {}

  /** A workflow id that nobody else has. */
  id(): string {
    return `w-${randomUUID()}`;
  }

  /** How a workflow is started, under an id of its own, on the scenario's queue. */
  on<O extends object>(options: O): O & { workflowId: string; taskQueue: string } {
    return { workflowId: this.id(), taskQueue: this.queue, ...options };
  }

  /** A worker with all workflows and the scenario's activities. */
  worker(options: Partial<WorkerOptions> = {}): Promise<Worker> {
    return Worker.create({
      connection: this.native,
      namespace: this.namespace,
      taskQueue: this.queue,
      workflowBundle: BUNDLE,
      activities: this.activities,
      ...options,
    });
  }
}

export type Scenario = (bed: Bed) => Promise<void>;

/** Looks until there is something true to see. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = Date.now() + PATIENCE;
  while (Date.now() < deadline) {
    const found = await look();
    if (found) return found;
    await sleep(20);
  }
  throw new Error(`never: ${what}`);
}

type Kind<E> = new (...args: never[]) => E;

/** Expects this error of the work, and gives it. */
export async function raises<E extends Error>(kind: Kind<E>, work: Promise<unknown>): Promise<E> {
  try {
    await work;
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new Error(`no ${kind.name}`);
}

/** The failure that a workflow ends with. */
export async function failure(work: Promise<unknown>): Promise<Error> {
  const { cause } = await raises(WorkflowFailedError, work);
  assert(cause instanceof Error);
  return cause;
}

/** The chain of causes, as `Kind: message`. */
export function causes(error: unknown): string[] {
  const chain = [];
  for (let each = error; each instanceof Error; each = each.cause) {
    chain.push(`${each.name}: ${each.message}`);
  }
  return chain;
}

/** A run's history events. */
export async function events(handle: WorkflowHandle): Promise<temporal.api.history.v1.IHistoryEvent[]> {
  return (await handle.fetchHistory()).events ?? [];
}

/** The types of a run's history events, short: `WORKFLOW_EXECUTION_STARTED`, … */
export async function eventTypes(handle: WorkflowHandle): Promise<string[]> {
  const names = temporal.api.enums.v1.EventType;
  return (await events(handle)).map((event) => names[event.eventType ?? 0]!.replace('EVENT_TYPE_', ''));
}

/** Waits until the history has an event of this type. */
export async function hasEvent(handle: WorkflowHandle, kind: string): Promise<void> {
  await eventually(`${kind} in the history`, async () => (await eventTypes(handle)).includes(kind));
}

/** What the server says of a run, in full. */
export async function describe(handle: WorkflowHandle): Promise<DescribeWorkflowExecutionResponse> {
  return (await handle.describe()).raw;
}

/** Waits until the run's one pending activity has started. */
export async function activityStarted(handle: WorkflowHandle): Promise<void> {
  await eventually('the activity is started', async () => {
    const pending = (await describe(handle)).pendingActivities ?? [];
    return pending.some((one) => one.lastStartedTime != null);
  });
}
