"""Puts events with boto3, as a program does that knows nothing of Segno: ENDPOINT ACCESS_KEY SECRET_KEY [TOKEN].

Prints what came back as JSON.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, access_key, secret_key, *token = sys.argv[1:]
client = boto3.client(
    "events",
    endpoint_url=endpoint,
    region_name="eu-central-1",
    aws_access_key_id=access_key,
    aws_secret_access_key=secret_key,
    aws_session_token=token[0] if token else None,
    config=Config(retries={"max_attempts": 1}),
)
entry = {
    "Source": "phoenix-webhooks",
    "DetailType": "ReportRunStoppedEvent",
    "Detail": json.dumps({"run": 1, "name": "é"}),
    "Resources": ["arn:aws:ec2:i-1"],
}
try:
    answer = client.put_events(
        Entries=[entry, {**entry, "Detail": "{"}, {**entry, "Source": ""}, {**entry, "EventBusName": "orders"}]
    )
    answer.pop("ResponseMetadata")
except ClientError as error:
    answer = {"error": error.response["Error"]["Code"]}
print(json.dumps(answer))
