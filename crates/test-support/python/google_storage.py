"""Uses a stand-in for Google Cloud Storage as Google's own client uses the service, and says what is not as it expects.

python google_storage.py URL ACCOUNT STRANGE FILE

There is the bucket `events` with the object `from/rust 1.json`. This uploads FILE to it in parts, as `big/ä.bin`.
"""

import io
import json
import sys

import google.auth.transport.requests
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import storage
from google.cloud.storage import transfer_manager
from google.cloud.storage._media.requests import XMLMPUContainer, XMLMPUPart
from google.oauth2 import service_account
from google.resumable_media.common import DataCorruption, InvalidResponse
from google.resumable_media.requests import Download

url, account, strange, path = sys.argv[1:]
SCOPES = ["https://www.googleapis.com/auth/devstorage.read_write"]
PART = 5 << 20


def credentials(path):
    # Tokens are signed here and not fetched, as the library `object_store` does too.
    found = service_account.Credentials.from_service_account_file(path, scopes=SCOPES)
    return found.with_always_use_jwt_access(True)


def client(path):
    return storage.Client("project", credentials=credentials(path), client_options={"api_endpoint": url})


def upload(client, bucket, name, **options):
    options = {"chunk_size": PART, "content_type": "text/x-big", "worker_type": transfer_manager.THREAD, **options}
    transfer_manager.upload_chunks_concurrently(path, client.bucket(bucket).blob(name), **options)


def refused(status, code, call):
    try:
        call()
    except InvalidResponse as error:
        answer = error.response
        assert answer.status_code == status and code in answer.text, (status, code, answer.text)
        return
    except GoogleAPICallError as error:
        assert error.code == status, (status, code, error)
        return
    raise AssertionError(f"not refused: {status} {code}")


def read(name, checksum):
    """Downloads by the XML API; what comes is compared with the checksums that are sent along."""
    stream = io.BytesIO()
    session = google.auth.transport.requests.AuthorizedSession(credentials(account))
    answer = Download(f"{url}/events/{name}", stream=stream, checksum=checksum).consume(session)
    return stream.getvalue(), answer.headers


ours = client(account)

# In parts, each with a checksum of its own.
for checksum in ("md5", "crc32c"):
    upload(ours, "events", "big/ä.bin", checksum=checksum, max_workers=3)
with open(path, "rb") as file:
    content = file.read()
found, headers = read("big/%C3%A4.bin", "crc32c")
assert found == content and headers["content-type"] == "text/x-big", headers
assert "md5=" not in headers["x-goog-hash"], "it has none, as it was uploaded in parts"

# What was written by another client.
found, headers = read("from%2Frust%201%2Ejson", "md5")
assert json.loads(found) == {"id": 1} and headers["content-type"] == "application/json", (found, headers)

# What is refused.
refused(404, "NoSuchBucket", lambda: upload(ours, "none", "x"))
refused(404, "NoSuchKey", lambda: read("none", "md5"))
refused(401, "AuthenticationRequired", lambda: upload(client(strange), "events", "x"))
# The client gives an upload up that cannot be completed.
refused(400, "EntityTooSmall", lambda: upload(ours, "events", "x", chunk_size=PART - 1))
transport = google.auth.transport.requests.AuthorizedSession(credentials(account))
container = XMLMPUContainer(f"{url}/events/x", path, retry=None)
container.initiate(transport, "text/plain")
part = XMLMPUPart(f"{url}/events/x", container.upload_id, path, 0, 9, 1, checksum="md5", retry=None)
part.upload(transport)
container.register_part(1, '"another"')
refused(400, "InvalidPart", lambda: container.finalize(transport))
container.cancel(transport)
refused(404, "NoSuchUpload", lambda: container.cancel(transport))


class Flipping:
    """Sends another byte than it was given."""

    def request(self, method, url, data=None, **options):
        return transport.request(method, url, data=b"?" + data[1:], **options)


container = XMLMPUContainer(f"{url}/events/x", path, retry=None)
container.initiate(transport, "text/plain")
for checksum in ("md5", "crc32c"):
    part = XMLMPUPart(f"{url}/events/x", container.upload_id, path, 0, 9, 1, checksum=checksum, retry=None)
    try:
        part.upload(Flipping())
    except DataCorruption as error:
        assert "BadDigest" in str(error), error
    else:
        raise AssertionError(f"{checksum}: what came is not what was sent")
container.cancel(transport)
