// Runs the scenarios of one file against an engine: `run.js NAME --address HOST:PORT --namespace NAMESPACE`.
//
// Ends with 0 if all of them hold. What does not hold is told with its stack.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, makeTelemetryFilterString, NativeConnection, Runtime } from '@temporalio/worker';
import { Bed, type Scenario } from './harness';

const LONGEST = 100_000;

async function main(): Promise<boolean> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { address: { type: 'string' }, namespace: { type: 'string' } },
  });
  const [name] = positionals;
  const { address, namespace } = values;
  if (!name || !address || !namespace) throw new Error('a name, an address and a namespace are needed');
  // What fails on purpose is a warning to the SDK.
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }) } },
  });
  const file: { scenarios: Record<string, Scenario>; activities?: object } = await import(`./scenarios/${name}.js`);
  const native = await NativeConnection.connect({ address });
  const client = new Client({ connection: await Connection.connect({ address }), namespace });
  const bed = new Bed(client, native, namespace, `queue-${name}`, file.activities ?? {});
  const worker = await bed.worker();
  const found = Object.entries(file.scenarios);
  const ended = await worker.runUntil(Promise.all(found.map(([name, scenario]) => one(name, scenario(bed)))));
  return ended.every((isWell) => isWell);
}

/** Runs one scenario, and says how it ended. */
async function one(name: string, work: Promise<void>): Promise<boolean> {
  const start = performance.now();
  const took = () => `${((performance.now() - start) / 1000).toFixed(2)} s`;
  const tooLong = sleep(LONGEST, undefined, { ref: false }).then(() => {
    throw new Error('it takes too long');
  });
  try {
    await Promise.race([work, tooLong]);
  } catch (error) {
    console.log(`--- ${name}: failed after ${took()}`, error);
    return false;
  }
  console.log(`--- ${name}: ${took()}`);
  return true;
}

main().then(
  (isWell) => process.exit(isWell ? 0 : 1),
  (error) => {
    console.log(error);
    process.exit(1);
  },
);
