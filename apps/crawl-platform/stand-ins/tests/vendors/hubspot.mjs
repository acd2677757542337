// What HubSpot's own client makes of an account: node hubspot.mjs URL TOKEN.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.SEGNO_VENDORS_JS}/`);
const { Client } = require('@hubspot/api-client');
const [basePath, accessToken] = process.argv.slice(2);
const hubspot = new Client({ accessToken, basePath });
const { contacts, companies, tickets, associations } = hubspot.crm;

const input = (id, properties) => ({ idProperty: 'email', id, objectWriteTraceId: id, properties });
const first = await contacts.batchApi.upsert({
    inputs: [input('ann@example.com', { firstname: 'Ann' }), input('bob@example.com', { firstname: 'Bob' })],
});
assert.equal(first.status, 'COMPLETE');
assert.deepEqual(first.results.map((one) => [one.properties.email, one._new]), [
    ['ann@example.com', true],
    ['bob@example.com', true],
]);
assert.ok(first.results[0].createdAt instanceof Date && !Number.isNaN(first.results[0].createdAt.getTime()));
const second = await contacts.batchApi.upsert({
    inputs: [input('ANN@example.com', { lastname: 'Lee' }), input('nobody', { lastname: 'X' })],
});
assert.deepEqual(second.results.map((one) => [one.id, one._new]), [[first.results[0].id, false]]);
assert.equal(second.numErrors, 1);
assert.equal(second.errors[0].category, 'VALIDATION_ERROR');
assert.deepEqual(second.errors[0].context.objectWriteTraceId, ['nobody']);

const read = await contacts.batchApi.read({
    idProperty: 'email',
    inputs: [{ id: 'ann@example.com' }, { id: 'eve@example.com' }],
    properties: ['firstname', 'lastname', 'phone'],
    propertiesWithHistory: [],
});
const { firstname, lastname, phone } = read.results[0].properties;
assert.deepEqual([firstname, lastname, phone], ['Ann', 'Lee', null]);
assert.deepEqual(read.errors[0].context.ids, ['eve@example.com']);
const one = await contacts.basicApi.getById(first.results[0].id, ['lastname']);
assert.equal(one.properties.lastname, 'Lee');

const company = await companies.batchApi.upsert({
    inputs: [{ idProperty: 'domain', id: 'example.com', properties: { name: 'Example' } }],
});
const [contactId, companyId] = [first.results[0].id, company.results[0].id];
const made = await associations.v4.batchApi.createDefault('contacts', 'companies', {
    inputs: [{ _from: { id: contactId }, to: { id: companyId } }],
});
assert.equal(made.results[0].associationSpec.associationTypeId, 279);
await associations.v4.basicApi.createDefault('contacts', first.results[1].id, 'companies', companyId);
const listed = await associations.v4.batchApi.getPage('companies', 'contacts', { inputs: [{ id: companyId }] });
assert.deepEqual(listed.results[0].to.map(({ toObjectId }) => String(toObjectId)).sort(), first.results.map(({ id }) => id).sort());
const none = await associations.v4.batchApi.getPage('contacts', 'tickets', { inputs: [{ id: contactId }] });
assert.equal(none.errors[0].subCategory, 'crm.associations.NO_ASSOCIATIONS_FOUND');

// Labels.
const definition = { label: 'Decision maker', inverseLabel: 'Decides for', name: 'decision_maker' };
const defined = await associations.v4.schema.definitionsApi.create('companies', 'contacts', definition);
assert.deepEqual(defined.results.map(({ category, label }) => [category, label]), [
    ['USER_DEFINED', 'Decision maker'],
    ['USER_DEFINED', 'Decides for'],
]);
const types = (await associations.v4.schema.definitionsApi.getAll('companies', 'contacts')).results;
assert.deepEqual(types.map(({ label }) => label ?? null), [null, 'Primary', 'Decision maker']);
const labelled = (...labels) => ({
    inputs: [
        {
            _from: { id: companyId },
            to: { id: contactId },
            types: types
                .filter(({ label }) => labels.includes(label))
                .map(({ category, typeId }) => ({ associationCategory: category, associationTypeId: typeId })),
        },
    ],
});
const created = await associations.v4.batchApi.create('companies', 'contacts', labelled('Primary', 'Decision maker'));
assert.deepEqual(created.results[0].labels, ['Primary', 'Decision maker']);
const labelsFrom = async (kind, id, other) => {
    const page = await associations.v4.batchApi.getPage(kind, other, { inputs: [{ id }] });
    const [{ associationTypes }] = page.results[0].to;
    return associationTypes.map(({ label }) => label).filter(Boolean);
};
assert.deepEqual(await labelsFrom('contacts', contactId, 'companies'), ['Primary', 'Decides for']);
await associations.v4.batchApi.archiveLabels('companies', 'contacts', labelled('Primary'));
assert.deepEqual(await labelsFrom('contacts', contactId, 'companies'), ['Decides for']);
const wrongType = { _from: { id: companyId }, to: { id: contactId }, types: [{ associationCategory: 'USER_DEFINED', associationTypeId: 99 }] };
const none99 = await associations.v4.batchApi.create('companies', 'contacts', { inputs: [wrongType] });
assert.equal(none99.numErrors, 1);

// Wrong ones.
const unknown = await refused(400, contacts.batchApi.upsert({ inputs: [input('ann@example.com', { 'No Such': 'x' })] }));
assert.equal(unknown.errors[0].code, 'PROPERTY_DOESNT_EXIST');
const many = Array.from({ length: 101 }, (_, n) => input(`a${n}@example.com`, {}));
assert.match((await refused(400, contacts.batchApi.upsert({ inputs: many }))).message, /100/);
await refused(400, contacts.batchApi.upsert({ inputs: [input('a@b.cc', {}), input('A@b.cc', {})] }));
await refused(400, tickets.batchApi.upsert({ inputs: [{ idProperty: 'subject', id: 'x', properties: {} }] }));
await refused(404, contacts.basicApi.getById('1'));
const stranger = new Client({ accessToken: 'wrong', basePath });
assert.equal((await refused(401, stranger.crm.contacts.basicApi.getById(contactId))).category, 'INVALID_AUTHENTICATION');

async function refused(status, promise) {
    try {
        await promise;
    } catch (error) {
        assert.equal(error.code, status, error.message);
        return typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
    }
    assert.fail(`a status of ${status} was expected`);
}
