"""Deploys the function to an emulator of AWS, invokes it, and has a queue invoke it: ENDPOINT PROGRAM SEGNO_URL.

Prints what the invocation answered as JSON.
"""

import io
import json
import sys
import zipfile

import boto3

endpoint, program, segno = sys.argv[1:]
session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
functions = session.client("lambda", endpoint_url=endpoint)
queues = session.client("sqs", endpoint_url=endpoint)

code = io.BytesIO()
with zipfile.ZipFile(code, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with open(program, "rb") as file:
        archive.writestr(entry, file.read())
functions.create_function(
    FunctionName="segno",
    Runtime="provided.al2023",
    Handler="bootstrap",
    Role="arn:aws:iam::000000000000:role/segno",
    Code={"ZipFile": code.getvalue()},
    Environment={"Variables": {"SEGNO_URL": segno}},
    Timeout=30,
)
queue = queues.create_queue(QueueName="orders")["QueueUrl"]
attributes = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
functions.create_event_source_mapping(
    FunctionName="segno",
    EventSourceArn=attributes["QueueArn"],
    BatchSize=10,
    FunctionResponseTypes=["ReportBatchItemFailures"],
)
event = {"specversion": "1.0", "source": "/s", "type": "t"}
for body in [json.dumps({**event, "id": "q-1"}), "nonsense", json.dumps({**event, "id": "q-2"})]:
    queues.send_message(QueueUrl=queue, MessageBody=body)
envelope = {
    "version": "0", "id": "e-1", "detail-type": "t", "source": "s", "account": "1", "region": "us-east-1",
    "time": "2030-04-05T17:31:00Z", "resources": [], "detail": {},
}
answer = functions.invoke(FunctionName="segno", Payload=json.dumps(envelope))
print(json.dumps({"error": answer.get("FunctionError"), "answer": json.load(answer["Payload"])}))
