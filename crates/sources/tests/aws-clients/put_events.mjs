// Puts events with AWS's client for JavaScript, as a program does that knows nothing of Segno:
// ENDPOINT ACCESS_KEY SECRET_KEY [TOKEN]. Prints what came back as JSON.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.SEGNO_AWS_JS}/package.json`);
const { EventBridgeClient, PutEventsCommand } = require("@aws-sdk/client-eventbridge");

const [endpoint, accessKeyId, secretAccessKey, sessionToken] = process.argv.slice(2);
const client = new EventBridgeClient({
  endpoint,
  region: "eu-central-1",
  maxAttempts: 1,
  credentials: { accessKeyId, secretAccessKey, sessionToken },
});
const entry = {
  Source: "phoenix-webhooks",
  DetailType: "ReportRunStoppedEvent",
  Detail: JSON.stringify({ run: 1, name: "é" }),
  Resources: ["arn:aws:ec2:i-1"],
  Time: new Date("2030-04-05T17:31:00.250Z"),
};
let answer;
try {
  const command = new PutEventsCommand({
    Entries: [entry, { ...entry, Detail: "{" }, { ...entry, Source: "" }, { ...entry, EventBusName: "orders" }],
  });
  const { FailedEntryCount, Entries } = await client.send(command);
  answer = { FailedEntryCount, Entries };
} catch (error) {
  answer = { error: error.name };
}
console.log(JSON.stringify(answer));
