"""Joining a busy room on PostgreSQL: no message is missed between the join and live delivery."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import accumulate

import pytest

from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from tests.databases import postgres_database
from tests.e2e.clients import Json, PythonClient, until
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

TALKERS, JOINERS, JOINS_EACH = 4, 10, 10
ROOM = {"room_id": "lobby"}


async def talk(client: PythonClient, quiet: asyncio.Event) -> None:
    await client.call("join_room", ROOM)
    while not quiet.is_set():
        await client.call("send_group_message", {**ROOM, "content": "hello"})


async def join_often(client: PythonClient) -> Sequence[int]:
    """Join and leave the room repeatedly; return its last `seq` at each join."""
    last_seqs = []
    for _ in range(JOINS_EACH):
        received = len(client.inbox.of("receive_group_message"))
        last_seqs.append((await client.call("join_room", ROOM))["room"]["last_seq"])
        await until(client, "receive_group_message", received + 2)
        left = len(seqs_by_membership(client))
        await client.call("leave_room", ROOM)
        await client.inbox.until(partial(has_left, client, left))
    return last_seqs


def has_left(client: PythonClient, times: int) -> bool:
    return len(seqs_by_membership(client)) > times


def seqs_by_membership(client: PythonClient) -> Sequence[Sequence[int]]:
    """Return the `seq`s received in each membership; each ends with one's own `user_left`."""
    found: list[list[int]] = [[]]
    for event, payload in client.inbox.events:
        if event == "receive_group_message":
            found[-1].append(payload["seq"])
        elif event == "user_left" and payload["user_id"] == own_id(client):
            found.append([])
    return found


def own_id(client: PythonClient) -> str:
    (connected,) = client.inbox.of("connected")
    user_id: str = connected["user_id"]
    return user_id


def member_counts(client: PythonClient) -> Sequence[tuple[int, int]]:
    """Return each membership event's change to the member count, and the count that it reports."""
    changes: list[tuple[str, Json]] = [
        each for each in client.inbox.events if each[0] in {"user_joined", "user_left"}
    ]
    return [(1 if name == "user_joined" else -1, each["member_count"]) for name, each in changes]


async def test_first_live_message_follows_last_seq_of_join() -> None:
    async with postgres_database() as url, AsyncExitStack() as stack:
        settings = Settings(secret_key=SECRET, database_url=url, rate_limits=False)
        store = PostgresStore(url, rooms_per_user=10)
        composition = compose(settings, store=store)
        base_url = await stack.enter_async_context(serving(application(composition)))

        async def connect(user_id: str) -> PythonClient:
            options = {"auth": {"token": token(user_id)}}
            client = await PythonClient().open(base_url, "websocket", options)
            stack.push_async_callback(client.close)
            return client

        observer = await connect("observer")
        await observer.call("join_room", ROOM)
        talkers = [await connect(f"talker {number}") for number in range(TALKERS)]
        joiners = [await connect(f"joiner {number}") for number in range(JOINERS)]
        quiet = asyncio.Event()
        talking = [asyncio.create_task(talk(talker, quiet)) for talker in talkers]
        last_seqs = await asyncio.gather(*map(join_often, joiners))
        quiet.set()
        await asyncio.gather(*talking)

        for joiner, seqs in zip(joiners, last_seqs, strict=True):
            for last_seq, received in zip(seqs, seqs_by_membership(joiner), strict=False):
                assert received == list(range(last_seq + 1, last_seq + 1 + len(received)))
        changes = member_counts(observer)
        assert [count for _, count in changes] == list(accumulate(each for each, _ in changes))
