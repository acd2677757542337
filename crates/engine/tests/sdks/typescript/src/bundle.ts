// Bundles all scenarios' workflows once, so that no worker has to.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

async function main(): Promise<void> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(__dirname, 'workflows', 'index.js'),
    workflowInterceptorModules: [join(__dirname, 'workflows', 'interceptors.js')],
    logger: new DefaultLogger('WARN'),
  });
  writeFileSync(join(__dirname, 'workflows.bundle.js'), code);
}

void main();
