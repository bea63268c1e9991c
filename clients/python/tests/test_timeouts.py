"""How long a call may take: each has its own time, for all of it, and says so when that is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

from conftest import Server
from onefold import AsyncOnefold, Onefold, OnefoldError, Ticks
from relay import Relay
from test_features import time
from test_training import labels

ADA = {"user_id": "ada"}
ROW = {"order_id": "t1", "shop": "t", "account": 9, "amount": 1.0, "ordered_at": "2026-03-02T10:00:00Z", "user_id": "tina"}
#: Of more rows than are joined while a test waits.
LONG = Ticks("100us", start=time(0), end=time(61))


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    with Relay(server.url) as relay:
        yield relay


def calls(client: Any) -> list[Callable[[float], Any]]:
    return [
        lambda seconds: client.get_features("model", ADA, timeout=seconds),
        lambda seconds: client.get_entity_features("user", "ada", timeout=seconds),
        lambda seconds: client.get_features_batch("model", pd.DataFrame([ADA]), timeout=seconds),
        lambda seconds: client.schema("model", timeout=seconds),
        lambda seconds: client.push("orders", ROW, timeout=seconds),
        lambda seconds: client.get_training_data(labels(), "model", progress=False, timeout=seconds),
        lambda seconds: client.explain_leakage(labels(), "model", progress=False, timeout=seconds),
        lambda seconds: client.start_training_set(labels(), "model", timeout=seconds),
        lambda seconds: client.training_set("none", timeout=seconds),
        lambda seconds: client.training_sets(timeout=seconds),
        lambda seconds: client.importances("model", timeout=seconds),
        lambda seconds: client.report_importances("model", {"orders": 1.0}, timeout=seconds),
    ]


def is_late(error: pytest.ExceptionInfo[OnefoldError]) -> bool:
    return error.value.code == "CALL_TIMED_OUT" and "timeout=" in (error.value.hint or "")


def test_a_call_takes_no_longer_than_it_is_given(relay: Relay) -> None:
    relay.holds = True
    # With the client's own time this test would take an hour.
    with Onefold(relay.url, timeout=300) as client:
        for call in calls(client):
            with pytest.raises(OnefoldError) as late:
                call(0.2)
            assert is_late(late)


def test_an_async_call_neither(relay: Relay) -> None:
    relay.holds = True

    async def ask() -> None:
        async with AsyncOnefold(relay.url, timeout=300) as client:
            for call in calls(client):
                with pytest.raises(OnefoldError) as late:
                    await call(0.2)
                assert is_late(late)

    asyncio.run(ask())


def test_none_is_the_clients_own_time(relay: Relay, server: Server) -> None:
    with Onefold(server.url, timeout=60) as client:
        assert client.get_features("model", ADA, timeout=None)["orders"] == 3
    relay.holds = True
    with Onefold(relay.url, timeout=0.2) as hasty, pytest.raises(OnefoldError) as late:
        hasty.get_features("model", ADA, timeout=None)
    assert is_late(late)


def test_an_answer_that_comes_little_by_little_has_no_more_time(relay: Relay) -> None:
    # Each piece in time, all of them not: a vector's body is some hundred bytes.
    relay.byte_seconds = 0.05
    with Onefold(relay.url, timeout=60) as client, pytest.raises(OnefoldError) as late:
        client.get_features("model", ADA, timeout=1)
    assert is_late(late)

    async def ask() -> None:
        async with AsyncOnefold(relay.url, timeout=60) as other:
            with pytest.raises(OnefoldError) as late:
                await other.get_features("model", ADA, timeout=1)
            assert is_late(late)

    asyncio.run(ask())


def test_training_data_that_take_longer_are_cancelled(server: Server, client: Onefold) -> None:
    with pytest.raises(OnefoldError) as late:
        client.get_training_data(LONG, "model", progress=False, timeout=4)
    assert is_late(late)
    assert client.training_sets()[0].job.state == "cancelled"

    async def ask() -> None:
        async with AsyncOnefold(server.url, timeout=60) as other:
            with pytest.raises(OnefoldError) as late:
                await other.get_training_data(LONG, "model", progress=False, timeout=4)
            assert is_late(late)

    asyncio.run(ask())
    assert client.training_sets()[0].job.state == "cancelled"
    assert len(client.get_training_data(labels(), "model", progress=False, timeout=600)) == 5


def test_a_set_whose_events_were_followed_for_so_long_goes_on(client: Onefold) -> None:
    training_set = client.start_training_set(LONG, "model")
    with pytest.raises(OnefoldError) as late:
        for _ in training_set.events(timeout=2):
            pass
    assert is_late(late)
    assert training_set.refresh().is_under_way
    training_set.delete()
