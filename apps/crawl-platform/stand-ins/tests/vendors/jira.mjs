// What jira.js, a client of Jira Cloud and Jira Service Management, makes of a site: node jira.mjs URL EMAIL TOKEN ISSUE.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.SEGNO_VENDORS_JS}/`);
const { ServiceDeskClient, Version3Client } = require('jira.js');
const [host, email, apiToken, issueIdOrKey] = process.argv.slice(2);
const config = { host, authentication: { basic: { email, apiToken } } };
const jira = new Version3Client(config);
const desk = new ServiceDeskClient(config);

// The test has made an issue with 7 comments, the last of them internal.
const newest = await jira.issueComments.getComments({ issueIdOrKey, orderBy: '-created', maxResults: 3 });
assert.deepEqual([newest.total, newest.startAt, newest.comments.length], [7, 0, 3]);
assert.equal(newest.comments[0].body.content[0].content[0].text, 'comment 7');
assert.equal(newest.comments[0].jsdPublic, false);
assert.equal(newest.comments[1].jsdPublic, true);
assert.equal(newest.comments[0].author.emailAddress, 'ann@example.com');
const rest = await jira.issueComments.getComments({ issueIdOrKey, orderBy: '-created', startAt: 3, maxResults: 100 });
assert.equal(rest.comments.at(-1).body.content[0].content[0].text, 'comment 1');

const added = await jira.issueComments.addComment({
    issueIdOrKey,
    comment: 'by the library',
    properties: [
        { key: 'sd.public.comment', value: { internal: true } },
        { key: 'mark', value: { n: 1 } },
    ],
});
assert.equal(added.jsdPublic, false);
assert.equal(added.author.accountId, 'bot');
const found = await jira.issueComments.getCommentsByIds({ ids: [Number(added.id)], expand: 'properties' });
assert.deepEqual(
    found.values[0].properties.find(({ key }) => key === 'mark'),
    { key: 'mark', value: { n: 1 } },
);
const changed = await jira.issueComments.updateComment({ issueIdOrKey, id: added.id, body: 'changed' });
assert.equal(changed.body.content[0].content[0].text, 'changed');

const property = { commentId: added.id, propertyKey: 'second' };
await jira.issueCommentProperties.setCommentProperty({ ...property, property: [1, 2] });
assert.deepEqual((await jira.issueCommentProperties.getCommentProperty(property)).value, [1, 2]);
await jira.issueCommentProperties.deleteCommentProperty(property);
await refused(404, jira.issueCommentProperties.getCommentProperty(property));
await jira.issueComments.deleteComment({ issueIdOrKey, id: added.id });
await refused(404, jira.issueComments.getComment({ issueIdOrKey, id: added.id }));

const [{ id: fileId }] = await jira.issueAttachments.addAttachment({
    issueIdOrKey,
    attachment: { filename: 'prices "1".csv', file: Buffer.from('a,b\r\n--\r\n') },
});
const file = await jira.issueAttachments.getAttachment({ id: fileId });
assert.deepEqual([file.filename, file.size, file.mimeType, file.author.accountId], ['prices "1".csv', 9, 'text/csv', 'bot']);
for (const redirect of [true, false]) {
    const content = await jira.issueAttachments.getAttachmentContent({ id: fileId, redirect });
    assert.equal(Buffer.from(content).toString(), 'a,b\r\n--\r\n');
}
const withFiles = await jira.issues.getIssue({ issueIdOrKey, fields: ['attachment'] });
assert.deepEqual(withFiles.fields.attachment.map(({ id, filename }) => [id, filename]), [[fileId, 'prices "1".csv']]);
await jira.issueAttachments.removeAttachment({ id: fileId });
await refused(404, jira.issueAttachments.getAttachment({ id: fileId }));
// The test has made an issue with a comment that shows a file.
const shown = await jira.issueComments.getComments({ issueIdOrKey: 'DEV-1' });
const rendered = await jira.issueComments.getComment({ issueIdOrKey: 'DEV-1', id: shown.comments[0].id, expand: 'renderedBody' });
const [, named] = rendered.renderedBody.match(/attachment\/content\/(\d+)/);
assert.equal((await jira.issueAttachments.getAttachment({ id: named })).filename, 'shown.txt');

await jira.issueWatchers.addWatcher({ issueIdOrKey, accountId: 'ann' });
const { watchers, watchCount } = await jira.issueWatchers.getIssueWatchers({ issueIdOrKey });
assert.equal(watchCount, watchers.length);
assert.equal(watchers.find(({ accountId }) => accountId === 'ann').displayName, 'Ann');
const participants = await desk.request.addRequestParticipants({ issueIdOrKey, accountIds: ['eve'] });
assert.deepEqual(participants.values.map(({ emailAddress }) => emailAddress), ['eve@example.org']);
const page = await desk.request.getRequestParticipants({ issueIdOrKey, start: 0, limit: 1 });
assert.deepEqual([page.size, page.isLastPage], [1, true]);

const description = { type: 'doc', version: 1, content: [] };
const created = await jira.issues.createIssue({
    fields: { project: { key: 'SUP' }, issuetype: { name: 'Task' }, summary: 'new', labels: ['lead'], description },
    properties: [{ key: 'origin', value: 'library' }],
});
const { key } = created;
const issue = await jira.issues.getIssue({ issueIdOrKey: key, fields: ['summary', 'status'], properties: ['origin'] });
assert.deepEqual(Object.keys(issue.fields).sort(), ['status', 'summary']);
assert.equal(issue.properties.origin, 'library');
await jira.issues.editIssue({ issueIdOrKey: key, fields: { summary: 'edited' } });
const { transitions } = await jira.issues.getTransitions({ issueIdOrKey: key });
const { id } = transitions.find(({ to }) => to.name === 'Resolved');
await jira.issues.doTransition({ issueIdOrKey: key, transition: { id } });
await refused(400, jira.issues.doTransition({ issueIdOrKey: key, transition: { id } }));
const moved = await jira.issues.getIssue({ issueIdOrKey: key });
assert.deepEqual([moved.fields.summary, moved.fields.status.name], ['edited', 'Resolved']);
assert.equal(moved.fields.status.statusCategory.key, 'done');
await jira.issueProperties.setIssueProperty({ issueIdOrKey: key, propertyKey: 'a', propertyValue: { b: 1 } });
assert.deepEqual((await jira.issueProperties.getIssueProperty({ issueIdOrKey: key, propertyKey: 'a' })).value, { b: 1 });
const keys = (await jira.issueProperties.getIssuePropertyKeys({ issueIdOrKey: key })).keys.map((one) => one.key);
assert.deepEqual(keys.sort(), ['a', 'origin']);
const hits = await jira.issueSearch.searchForIssuesUsingJqlEnhancedSearchPost({
    jql: 'project = SUP AND labels = lead ORDER BY created',
    fields: ['summary'],
});
assert.deepEqual(hits.issues.map((hit) => hit.key), [key]);

assert.equal((await jira.myself.getCurrentUser()).emailAddress, email);
assert.equal((await jira.users.getUser({ accountId: 'ann' })).displayName, 'Ann');

// Wrong ones.
const missing = await refused(404, jira.issues.getIssue({ issueIdOrKey: 'SUP-999' }));
assert.match(missing.errorMessages[0], /does not exist/);
const empty = await refused(400, jira.issues.createIssue({ fields: { project: { key: 'SUP' }, issuetype: { name: 'Task' } } }));
assert.match(empty.errors.summary, /summary/);
await refused(400, jira.issueComments.addComment({ issueIdOrKey, comment: { type: 'doc', version: 1 } }));
const notDesk = await refused(404, desk.request.getRequestParticipants({ issueIdOrKey: 'DEV-1' }));
assert.equal(typeof notDesk.errorMessage, 'string');
const stranger = new Version3Client({ host, authentication: { basic: { email, apiToken: 'wrong' } } });
await refused(401, stranger.myself.getCurrentUser());

async function refused(status, promise) {
    try {
        await promise;
    } catch (error) {
        assert.equal(error.status, status, error.message);
        return error.response?.data ?? error.cause?.response?.data;
    }
    assert.fail(`a status of ${status} was expected`);
}
