"""What is asked again when a connection breaks, and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Server
from onefold import AsyncOnefold, Onefold, OnefoldError
from relay import Relay
from test_training import labels


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    with Relay(server.url) as relay:
        yield relay


def a_visit(number: str) -> dict[str, Any]:
    row = {"user_id": "dora", "shop": "d", "account": 9, "amount": 1.0, "ordered_at": "2026-03-02T10:00:00Z"}
    return {**row, "order_id": number}


def test_questions_are_asked_again(relay: Relay) -> None:
    relay.breaks = 2
    with Onefold(relay.url, timeout=60) as client:
        assert client.get_features("model", {"user_id": "ada"})["orders"] == 3
        assert relay.connections == 3
        relay.breaks = 3
        # A new client, for the connection that was good is kept.
        with Onefold(relay.url, timeout=60) as other, pytest.raises(OnefoldError) as broken:
            other.get_features("model", {"user_id": "ada"})
    assert broken.value.code == "SERVER_UNREACHABLE" and relay.connections == 6


def test_a_push_is_not_sent_again_unless_that_does_no_harm(relay: Relay, client: Onefold) -> None:
    relay.breaks = 1
    with Onefold(relay.url, timeout=60) as other, pytest.raises(OnefoldError) as broken:
        other.push("orders", a_visit("d1"))
    assert (broken.value.code, relay.connections) == ("SERVER_UNREACHABLE", 1)
    relay.breaks = 1
    with Onefold(relay.url, timeout=60) as other:
        again = other.push("orders", a_visit("d2"), idempotent=True)
    assert (again.accepted, again.duplicates, relay.connections) == (0, 1, 3)
    assert client.get_features("model", {"user_id": "dora"})["orders"] == 2


def test_a_training_set_is_not_started_twice(relay: Relay, client: Onefold) -> None:
    before = len(client.training_sets())
    relay.breaks = 1
    with Onefold(relay.url, timeout=60) as other, pytest.raises(OnefoldError, match="SERVER_UNREACHABLE"):
        other.start_training_set(labels(), "model")
    after = client.training_sets()
    assert len(after) == before + 1
    after[0].delete()


def test_events_go_on_behind_a_broken_connection(relay: Relay, client: Onefold) -> None:
    id = client.start_training_set(labels(), "model").id
    relay.tells = True
    with Onefold(relay.url, timeout=60) as other:
        training_set = other.training_set(id)
    with Onefold(relay.url, timeout=60) as other:
        relay.breaks = 2
        training_set = type(training_set)(other._http, training_set.job)
        assert training_set.wait(progress=False).state == "done"
    assert relay.breaks == 0

    async def ask() -> str:
        relay.tells = False
        relay.breaks = 2
        async with AsyncOnefold(relay.url, timeout=60) as asynchronous:
            return (await (await asynchronous.training_set(id)).wait(progress=False)).state

    assert asyncio.run(ask()) == "done"
