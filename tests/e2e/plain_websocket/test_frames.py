"""Frames of a plain WebSocket that are not commands (docs/wire.md)."""

from typing import Any

import pytest

from tests.e2e.clients import until
from tests.e2e.plain_websocket.shared import LOBBY, asked, json_client, plain
from tests.tokens import token

pytestmark = pytest.mark.anyio


class TestFrames:
    @pytest.mark.parametrize(
        "text",
        [
            "{",
            "[]",
            "1",
            "null",
            '{"id":1}',
            '{"id":1.5,"command":"join_room"}',
            '{"id":1,"command":7}',
            '{"id":"%s","command":"join_room"}' % ("x" * 65),
            "[" * 30_000,
            '{"command":"\\ud800"}',
            '{"id":1,"command":"join_room","payload":{"room_id":"\\ud800"}}',
        ],
    )
    async def test_malformed_frame_is_an_error_and_the_connection_continues(
        self, url: str, text: str
    ) -> None:
        async with json_client(url, "ada") as ada:
            await ada.socket.send(text)

            assert (await until(ada, "error"))["code"] == "invalid_payload"
            assert (await ada.call("join_room", LOBBY))["ok"]

    async def test_binary_frame_is_an_error_and_the_connection_continues(self, url: str) -> None:
        async with json_client(url, "ada") as ada:
            await ada.socket.send(b'{"command":"join_room"}')

            assert (await until(ada, "error"))["code"] == "invalid_payload"
            assert (await ada.call("join_room", LOBBY))["ok"]

    @pytest.mark.parametrize("payload", [[], 1, None, {"room_id": 1}, {}])
    async def test_wrong_payload_is_rejected(self, url: str, payload: Any) -> None:
        async with json_client(url, "ada") as ada:
            answer = await ada.call("join_room", payload)

            assert answer["error"]["code"] == "invalid_payload"

    async def test_id_may_be_a_whole_number_with_a_fraction(self, url: str) -> None:
        async with plain(url) as socket:
            await asked(socket, id=1, command="connect", payload={"token": token("ada")})
            await socket.send('{"id":7.0,"command":"list_conversations"}')
            answer = await socket.recv()

        assert str(answer).startswith('{"id":7,"ok":true,')

    async def test_payload_that_is_null_is_as_if_it_was_left_out(self, url: str) -> None:
        async with json_client(url, "ada") as ada:
            assert (await ada.call("list_conversations", None))["ok"]

    @pytest.mark.parametrize("wrong", ["true", "1.5", "1e300", "[1]"])
    async def test_error_of_a_wrong_id_names_it(self, url: str, wrong: str) -> None:
        async with json_client(url, "ada") as ada:
            await ada.socket.send(f'{{"id":{wrong},"command":"list_conversations"}}')
            error = await until(ada, "error")

        assert (error["code"], error["field"]) == ("invalid_payload", "id")

    async def test_unknown_command_is_rejected(self, url: str) -> None:
        async with json_client(url, "ada") as ada:
            assert (await ada.call("nonsense"))["error"]["code"] == "unknown_command"

    async def test_rejection_without_an_id_is_an_event_naming_the_command(self, url: str) -> None:
        async with json_client(url, "ada") as ada:
            post = {**LOBBY, "content": "hello", "client_message_id": "mine"}
            await ada.send("send_group_message", post)

            error = await until(ada, "error")

        assert error["code"] == "not_a_member"
        assert (error["command"], error["client_message_id"]) == ("send_group_message", "mine")

    async def test_frame_over_the_limit_closes_the_connection(self, url: str) -> None:
        async with json_client(url, "ada") as ada:
            await ada.socket.send("x" * 70_000)

            assert await until(ada, ":disconnect") == 1009
