#!/usr/bin/env python3
"""A fan-out of one topic to websockets, as one would write it.

usage: service.py PORT BROKERS TOPIC

A websocket's path is the key that it wants, or "/" for the whole topic.
Each record is one message: its value.
"""

import asyncio
import resource
import sys

from aiokafka import AIOKafkaConsumer
from websockets.asyncio.server import broadcast, serve

everything = set()
by_key = {}


async def subscriber(websocket):
    key = websocket.request.path[1:].encode()
    group = by_key.setdefault(key, set()) if key else everything

    group.add(websocket)

    try:
        await websocket.wait_closed()
    finally:
        group.discard(websocket)

        if key and not group:
            by_key.pop(key, None)


async def consume(brokers, topic):
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=brokers,
                                auto_offset_reset="latest",
                                enable_auto_commit=False)

    # without a group it reads all partitions

    await consumer.start()
    await consumer.seek_to_end()

    async for record in consumer:
        wanted = by_key.get(record.key)

        if everything:
            broadcast(everything, record.value)

        if wanted:
            broadcast(wanted, record.value)


async def main(port, brokers, topic):
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    async with serve(subscriber, "127.0.0.1", port, compression=None,
                     backlog=4096):
        await consume(brokers, topic)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
