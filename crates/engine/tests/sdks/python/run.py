"""Runs the scenarios of one file against an engine: `run.py NAME --address HOST:PORT --namespace NAMESPACE`.

Ends with 0 if all of them hold. What does not hold is told with its traceback.
"""

import argparse
import asyncio
import importlib
import logging
import os
import sys
import time
import traceback

import harness
from temporalio.client import Client
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig


async def main() -> int:
    """Runs them side by side, and answers how many failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--address", required=True)
    parser.add_argument("--namespace", required=True)
    arguments = parser.parse_args()

    module = importlib.import_module(f"scenarios.{arguments.name}")
    found = harness.scenarios(module)
    if not found:
        print(f"{arguments.name} has no scenarios")
        return 1
    # What fails on purpose is a warning to the SDK.
    runtime = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="error")))
    client = await Client.connect(arguments.address, namespace=arguments.namespace, runtime=runtime)
    bed = harness.Bed(client, queue=f"queue-{arguments.name}", module=module)
    async with bed.worker():
        ended = await asyncio.gather(*(one(name, scenario(bed)) for name, scenario in found.items()))
    return ended.count(False)


async def one(name: str, work) -> bool:
    """Runs one scenario, and says how it ended."""
    start = time.monotonic()
    try:
        await asyncio.wait_for(work, timeout=100)
    except BaseException:
        print(f"--- {name}: failed after {time.monotonic() - start:.2f} s\n{traceback.format_exc()}", flush=True)
        return False
    print(f"--- {name}: {time.monotonic() - start:.2f} s", flush=True)
    return True


if __name__ == "__main__":
    # Workflows and activities that fail on purpose are logged at lower levels.
    logging.basicConfig(level=logging.CRITICAL)
    failed = asyncio.run(main())
    sys.stdout.flush()
    # Not `sys.exit`: the interpreter would take itself apart under the feet of the SDK's threads.
    os._exit(1 if failed else 0)
