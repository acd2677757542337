// What Algolia's own client makes of an application: node algolia.mjs HOST:PORT DEAD_HOST:PORT APP_ID API_KEY.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.SEGNO_VENDORS_JS}/`);
const { algoliasearch } = require('algoliasearch');
const [live, dead, appId, apiKey] = process.argv.slice(2);
const host = (url) => ({ url, accept: 'readWrite', protocol: 'http' });
// The first host does not answer.
const algolia = algoliasearch(appId, apiKey, { hosts: [host(dead), host(live)] });
const indexName = 'library';

const saved = await algolia.saveObject({ indexName, body: { objectID: 'a', name: 'Blue whale', size: 3 } })
    .catch((error) => error);
assert.equal(typeof saved.taskID, 'number', String(saved));
const put = await algolia.addOrUpdateObject({ indexName, objectID: 'a', body: { name: 'Blue whale', size: 4 } });
assert.equal(put.objectID, 'a');
const changed = await algolia.partialUpdateObject({ indexName, objectID: 'a', attributesToUpdate: { size: 5 } });
await algolia.waitForTask({ indexName, taskID: changed.taskID });
await algolia.partialUpdateObject({ indexName, objectID: 'b', attributesToUpdate: { size: 1 }, createIfNotExists: false });
await algolia.partialUpdateObject({ indexName, objectID: 'c', attributesToUpdate: { name: 'Blue tit' } });
assert.deepEqual(await algolia.getObject({ indexName, objectID: 'a' }), { objectID: 'a', name: 'Blue whale', size: 5 });
const some = await algolia.getObject({ indexName, objectID: 'a', attributesToRetrieve: ['size'] });
assert.deepEqual(some, { objectID: 'a', size: 5 });

const batch = await algolia.batch({
    indexName,
    batchWriteParams: {
        requests: [
            { action: 'updateObject', body: { objectID: 'd', name: 'Red kite' } },
            { action: 'partialUpdateObject', body: { objectID: 'd', size: 2 } },
            { action: 'partialUpdateObjectNoCreate', body: { objectID: 'e', size: 2 } },
            { action: 'deleteObject', body: { objectID: 'c' } },
        ],
    },
});
assert.deepEqual(batch.objectIDs, ['d', 'd', 'e', 'c']);
const found = await algolia.getObjects({ requests: ['a', 'b', 'c', 'd', 'e'].map((objectID) => ({ indexName, objectID })) });
assert.deepEqual(found.results.map((one) => one?.size ?? null), [5, null, null, 2, null]);
await algolia.partialUpdateObjects({ indexName, objects: [{ objectID: 'd', size: 7 }], createIfNotExists: true, waitForTasks: true });
const { hits, nbHits } = await algolia.searchSingleIndex({ indexName, searchParams: { query: 'red' } });
assert.deepEqual([nbHits, hits[0].size], [1, 7]);
await algolia.deleteObject({ indexName, objectID: 'a' });

// Wrong ones.
await refused(404, algolia.getObject({ indexName, objectID: 'a' }));
await refused(404, algolia.getObject({ indexName: 'nowhere', objectID: 'a' }));
await refused(400, algolia.batch({ indexName, batchWriteParams: { requests: [{ action: 'updateObject', body: {} }] } }));
const stranger = algoliasearch(appId, 'wrong', { hosts: [host(live)] });
await refused(403, stranger.getObject({ indexName, objectID: 'd' }));

async function refused(status, promise) {
    await assert.rejects(promise, (error) => {
        assert.equal(error.status, status, String(error));
        return true;
    });
}
