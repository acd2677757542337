// HubSpot's own client tries again when it is told to go slower: node hubspot_limits.mjs URL TOKEN. The next call is answered 429,
// the one after it 500.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.SEGNO_VENDORS_JS}/`);
const { Client } = require('@hubspot/api-client');
const [basePath, accessToken] = process.argv.slice(2);

const impatient = new Client({ accessToken, basePath });
await assert.rejects(impatient.crm.contacts.basicApi.getById('1'), (error) => error.code === 429);
const patient = new Client({ accessToken, basePath, numberOfApiCallRetries: 2 });
const { results } = await patient.crm.contacts.batchApi.upsert({
    inputs: [{ idProperty: 'email', id: 'ann@example.com', properties: {} }],
});
assert.equal(results.length, 1);
