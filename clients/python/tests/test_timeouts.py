"""How long a call may take: each has its own time, for all of it, and says so when that is over."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from datetime import timedelta
from time import sleep
from typing import Any

import numpy
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


def calls(client: Any, known: str = "none") -> list[Callable[[float], Any]]:
    return [
        lambda seconds: client.get_features("model", ADA, timeout=seconds),
        lambda seconds: client.get_entity_features("user", "ada", timeout=seconds),
        lambda seconds: client.get_features_batch("model", pd.DataFrame([ADA]), timeout=seconds),
        lambda seconds: client.schema("model", timeout=seconds),
        lambda seconds: client.push("orders", ROW, timeout=seconds),
        lambda seconds: client.get_training_data(labels(), "model", progress=False, timeout=seconds),
        lambda seconds: client.explain_leakage(labels(), "model", progress=False, timeout=seconds),
        lambda seconds: client.start_training_set(labels(), "model", timeout=seconds),
        lambda seconds: client.training_set(known, timeout=seconds),
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


def no_set_is_under_way(client: Onefold, since: set[str]) -> bool:
    # A server that is busy takes a while to end what it was told to.
    for _ in range(600):
        states = {one.job.state for one in client.training_sets() if one.id not in since}
        if states <= {"cancelled"}:
            return True
        sleep(0.1)
    return False


def test_a_set_whose_start_was_not_answered_does_not_run(relay: Relay, client: Onefold) -> None:
    since = {one.id for one in client.training_sets()}
    with Onefold(relay.url, timeout=60) as hasty:
        relay.holds = True
        for ask in (hasty.start_training_set, hasty.get_training_data, hasty.explain_leakage):
            with pytest.raises(OnefoldError) as late:
                ask(LONG, "model", timeout=1)
            assert is_late(late)
            assert no_set_is_under_way(client, since)
        relay.holds = False
        relay.breaks = 1
        with pytest.raises(OnefoldError, match="SERVER_UNREACHABLE"):
            hasty.start_training_set(LONG, "model")
        assert no_set_is_under_way(client, since)
    assert len({one.id for one in client.training_sets()} - since) > 0


def test_nor_with_the_async_client_nor_where_its_task_is_cancelled(relay: Relay, client: Onefold) -> None:
    since = {one.id for one in client.training_sets()}
    relay.holds = True

    async def ask() -> None:
        async with AsyncOnefold(relay.url, timeout=60) as hasty:
            with pytest.raises(OnefoldError) as late:
                await hasty.start_training_set(LONG, "model", timeout=1)
            assert is_late(late)
            starting = asyncio.create_task(hasty.get_training_data(LONG, "model", progress=False))
            while len({one.id for one in client.training_sets()} - since) < 2:
                await asyncio.sleep(0.05)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting

    asyncio.run(ask())
    assert no_set_is_under_way(client, since)


def test_a_time_that_is_none_is_refused_before_anything_is_sent(relay: Relay) -> None:
    given: list[Any] = [0, 0.0, -1, math.nan, -math.inf, "1", timedelta(seconds=1), True]
    for seconds in given:
        for client in (Onefold, AsyncOnefold):
            with pytest.raises((ValueError, TypeError), match="timeout is"):
                client(relay.url, timeout=seconds)
        with Onefold(relay.url) as waiting:
            for call in calls(waiting):
                with pytest.raises((ValueError, TypeError), match="timeout is"):
                    call(seconds)

    async def ask() -> None:
        async with AsyncOnefold(relay.url) as other:
            for seconds in given:
                for call in calls(other):
                    with pytest.raises((ValueError, TypeError), match="timeout is"):
                        await call(seconds)

    asyncio.run(ask())
    assert relay.connections == 0


def test_a_time_may_have_no_end(server: Server, client: Onefold) -> None:
    training_set = client.start_training_set(labels(), "model")
    for call in calls(client, training_set.id):
        call(math.inf)
    assert training_set.wait(progress=False, timeout=math.inf).state == "done"
    assert len(training_set.to_pandas(timeout=math.inf)) == 5
    # None is the client's own, which is none.
    endless: list[Any] = [None, math.inf, 1e12, 10**400, numpy.float32(3600)]
    for seconds in endless:
        with Onefold(server.url, timeout=seconds) as own:
            assert own.get_features("model", ADA)["orders"] == 3
            assert own.get_features("model", ADA, timeout=seconds)["orders"] == 3
    for seconds in endless[:2]:
        with Onefold(server.url, timeout=seconds) as own:
            own.start_training_set(labels(), "model", timeout=seconds).wait(progress=False, timeout=seconds)

    async def ask() -> None:
        async with AsyncOnefold(server.url, timeout=math.inf) as other:
            for call in calls(other, training_set.id):
                await call(math.inf)
            for seconds in endless:
                assert (await other.get_features("model", ADA, timeout=seconds))["orders"] == 3

    asyncio.run(ask())


def test_a_set_whose_events_were_followed_for_so_long_goes_on(client: Onefold) -> None:
    training_set = client.start_training_set(LONG, "model")
    with pytest.raises(OnefoldError) as late:
        for _ in training_set.events(timeout=2):
            pass
    assert is_late(late)
    assert training_set.refresh().is_under_way
    training_set.delete()
