"""Vectors, one and many, and pushed events."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from datetime import datetime, timedelta, timezone
from typing import Any

import pandas as pd
import pytest

from conftest import BIG_ACCOUNT, Server
from onefold import AsyncOnefold, Onefold, OnefoldError

DTYPES = {
    "orders": "Int64",
    "orders_1h": "Int64",
    "amount": "float64",
    "mean_amount": "float64",
    "last_items": "Int64",
    "last_gift": "boolean",
    "last_shop": "object",
    "last_receipt": "object",
    "last_at": "datetime64[us, UTC]",
    "last_account": "Int64",
    "amounts": "object",
    "times": "object",
    "counts": "object",
}


def time(minute: int) -> pd.Timestamp:
    return pd.Timestamp("2026-03-01T08:00:00.000001", tz="UTC") + pd.Timedelta(minutes=minute)


ADA: dict[str, Any] = {
    "orders": 3,
    "orders_1h": 0,
    "amount": 60.0,
    "mean_amount": 20.0,
    "last_items": 7,
    "last_gift": False,
    "last_shop": "ä shop",
    "last_receipt": b"\x00\xff",
    "last_at": time(50),
    "last_account": BIG_ACCOUNT,
    "amounts": [10.0, 20.0, 30.0],
    "times": [time(20), time(50)],
    "counts": [1, 7],
}


def test_a_vector_has_values_as_json_carries_them(client: Onefold) -> None:
    vector = client.get_features("model", {"user_id": "ada"})
    assert vector["orders"] == 3
    assert vector["last_at"] == "2026-03-01T08:50:00.000001Z"
    assert vector["last_account"] == str(BIG_ACCOUNT)
    assert vector["last_receipt"] == "AP8="
    assert vector.token is None
    assert list(vector.features) == list(DTYPES)
    nobody = client.get_features("model", {"user_id": "nobody"}, metadata=True, token=True)
    assert nobody["orders"] == 0 and nobody["mean_amount"] is None
    assert nobody.metadata["features"]["mean_amount"]["status"] == "NOT_FOUND"
    assert nobody.token


def test_features_by_name_and_request_data(client: Onefold) -> None:
    vector = client.get_entity_features("user", "ben", ["user_orders:orders", "amount"])
    assert list(vector.features.values()) == [2, 14.0]
    pair = client.get_entity_features("shopper", ["ä shop", BIG_ACCOUNT])
    assert pair["shopper_orders"] == 3
    assert client.get_features("priced", {"user_id": "ada"}, request={"price": 30})["ratio"] == 1.5


def test_a_batch_keeps_rows_order_index_columns_and_dtypes(client: Onefold) -> None:
    frame = pd.DataFrame({"user_id": ["ben", "ada", "nobody", "ada"], "note": [1, 2, 3, 4]}, index=[9, 7, 5, 3])
    got = client.get_features_batch("model", frame)
    assert list(got.index) == [9, 7, 5, 3]
    assert list(got.columns) == ["user_id", "note", *DTYPES]
    assert {name: str(got[name].dtype) for name in DTYPES} == DTYPES
    pd.testing.assert_frame_equal(got[["user_id", "note"]], frame)
    ada = got.iloc[1]
    assert {name: ada[name] for name in DTYPES} == ADA
    pd.testing.assert_series_equal(got.iloc[3].drop("note"), ada.drop("note"), check_names=False)
    ben, nobody = got.iloc[0], got.iloc[2]
    assert ben["last_items"] is pd.NA or pd.isna(ben["last_items"]) or ben["last_items"] == 4
    assert ben["last_gift"] is pd.NA and ben["last_receipt"] is None
    assert nobody["orders"] == 0 and nobody["mean_amount"] != nobody["mean_amount"]
    assert nobody["last_items"] is pd.NA and nobody["last_at"] is pd.NaT and nobody["last_shop"] is None


def test_an_experiment_says_the_version_of_each_row(client: Onefold) -> None:
    users = ["ada", "ben", *(f"u{number}" for number in range(30))]
    got = client.get_features_batch("trial", pd.DataFrame({"user_id": users}))

    def variant(user: str) -> str:
        point = int.from_bytes(hashlib.sha256(f"trial\n{user}".encode()).digest()[:8], "big") >> 11
        return "brief@1" if point < 2**52 else "model@1"

    assert list(got["variant"]) == [variant(user) for user in users]
    assert set(got["variant"]) == {"brief@1", "model@1"}
    assert list(got.columns) == ["user_id", *DTYPES, "variant"]
    brief = got[got["variant"] == "brief@1"]
    assert brief["mean_amount"].isna().all() and brief["orders"].notna().all()
    one = client.get_features("trial", {"user_id": "ada"})
    assert one.metadata["experiment"] == "trial" and one.metadata["variant"] == variant("ada")


def test_a_batch_of_no_rows_has_the_dtypes_too(client: Onefold) -> None:
    got = client.get_features_batch("model", pd.DataFrame({"user_id": pd.Series([], dtype=object)}))
    assert len(got) == 0
    assert {name: str(got[name].dtype) for name in DTYPES} == DTYPES


def test_a_batch_takes_rows_keys_of_several_columns_and_request_data(client: Onefold) -> None:
    rows = [{"shop": "ä shop", "account": BIG_ACCOUNT}, {"shop": "b", "account": 7}]
    assert list(client.get_features_batch("pairs", rows)["shopper_orders"]) == [3, 2]
    frame = pd.DataFrame({"user_id": ["ada", "ben"], "price": [30.0, 7.0]})
    assert list(client.get_features_batch("priced", frame)["ratio"]) == [1.5, 1.0]
    one = client.get_features_batch("priced", frame[["user_id"]], request={"price": 14})
    assert list(one["ratio"]) == [0.7, 2.0]


def test_a_batch_goes_in_parts(client: Onefold) -> None:
    users = ["ada" if number % 3 == 0 else f"user {number}" for number in range(2500)]
    got = client.get_features_batch("model", pd.DataFrame({"user_id": users}))
    assert list(got["orders"]) == [3 if number % 3 == 0 else 0 for number in range(2500)]


def test_an_error_says_what_where_and_what_to_do(client: Onefold) -> None:
    with pytest.raises(OnefoldError) as unknown:
        client.get_features("modle", {"user_id": "ada"})
    assert (unknown.value.code, unknown.value.status, unknown.value.candidates) == ("SERVICE_UNKNOWN", 404, ("model",))
    assert "candidates: model" in str(unknown.value)
    with pytest.raises(OnefoldError) as bad_key:
        client.get_features_batch("model", pd.DataFrame({"user_id": ["ada", None]}))
    assert bad_key.value.code in ("KEY_MISSING", "NULL_NOT_ALLOWED")
    assert bad_key.value.where is not None and "entities[1]" in bad_key.value.where
    with pytest.raises(ValueError, match="amount"):
        client.get_features_batch("model", pd.DataFrame({"user_id": ["ada"], "amount": [1.0]}))


def test_nobody_there_and_nobody_answering_in_time() -> None:
    with Onefold("http://127.0.0.1:9", timeout=5) as nobody, pytest.raises(OnefoldError) as unreachable:
        nobody.get_features("model", {"user_id": "ada"})
    assert unreachable.value.code == "SERVER_UNREACHABLE" and unreachable.value.hint
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Onefold(url, timeout=0.2) as hasty, pytest.raises(OnefoldError) as late:
            hasty.get_features("model", {"user_id": "ada"})
    assert late.value.code == "CALL_TIMED_OUT"


def test_pushed_rows_are_in_the_next_vector(client: Onefold) -> None:
    now = datetime.now(timezone.utc)
    row = {"user_id": "cleo", "shop": "c", "account": 8, "amount": 4, "receipt": b"\x01"}
    one = client.push("orders", {**row, "order_id": "c1", "ordered_at": now - timedelta(minutes=2)})
    assert (one.accepted, one.rejected, one.outcomes[0]["status"]) == (1, 0, "accepted")
    frame = pd.DataFrame(
        {
            "order_id": ["c2", "c1", "c3"],
            "user_id": ["cleo"] * 3,
            "shop": ["c"] * 3,
            "account": [BIG_ACCOUNT] * 3,
            "ordered_at": pd.Series([now - timedelta(minutes=1)] * 3).astype("datetime64[ns, UTC]"),
            "amount": [6.0, 6.0, -1.0],
            "items": pd.array([None, 1, 2], dtype="Int64"),
            "is_gift": pd.array([True, None, False], dtype="boolean"),
        }
    )
    result = client.push("orders", frame)
    assert [outcome["status"] for outcome in result.outcomes] == ["accepted", "duplicate", "rejected"]
    assert (result.accepted, result.duplicates, result.rejected) == (1, 1, 1)
    assert result.outcomes[2]["code"] == "CONSTRAINT_FAILED"
    with pytest.raises(OnefoldError, match="row 2"):
        result.raise_for_rejected()
    vector = client.get_features_batch("model", [{"user_id": "cleo"}]).iloc[0]
    assert (vector["orders_1h"], vector["amount"], vector["last_account"]) == (2, 10.0, BIG_ACCOUNT)
    assert vector["last_items"] is pd.NA and vector["last_gift"] and vector["last_receipt"] == b"\x01"
    # all rows rejected are outcomes, too
    assert client.push("orders", [{**row, "order_id": "c4", "ordered_at": "soon"}]).rejected == 1
    with pytest.raises(OnefoldError) as unknown:
        client.push("order", [row])
    assert unknown.value.code == "SOURCE_UNKNOWN" and unknown.value.candidates == ("orders",)


def test_the_async_client_answers_the_same(server: Server, client: Onefold) -> None:
    async def ask() -> tuple[Any, ...]:
        async with AsyncOnefold(server.url, timeout=60) as other:
            frame = pd.DataFrame({"user_id": ["ben", "ada"]})
            vectors = await asyncio.gather(*(other.get_features("model", {"user_id": user}) for user in frame["user_id"]))
            named = await other.get_entity_features("user", "ben", ["orders"])
            pushed = await other.push("orders", [])
            with pytest.raises(OnefoldError, match="SERVICE_UNKNOWN"):
                await other.schema("modle")
            return vectors, await other.get_features_batch("model", frame), named, pushed

    vectors, batch, named, pushed = asyncio.run(ask())
    assert [vector["orders"] for vector in vectors] == [2, 3]
    assert named.features == {"orders": 2}
    assert pushed.outcomes == ()
    pd.testing.assert_frame_equal(batch, client.get_features_batch("model", pd.DataFrame({"user_id": ["ben", "ada"]})))


def test_a_model_reports_how_important_its_features_are(client: Onefold) -> None:
    given = pd.Series({"orders": 3, "amount": 1.5})
    report = client.report_importances("model", given, version=2, model="trees", method="gain")
    assert report["importances"] == {"orders": 3.0, "amount": 1.5}
    assert client.importances("model")[0] == report
    client.report_importances("model", {"orders": 1}, version=2, model="trees")
    assert [one["importances"] for one in client.importances("model")] == [{"orders": 1.0}]
    with pytest.raises(OnefoldError) as refused:
        client.report_importances("model", {"ordres": 1.0})
    assert refused.value.code == "REQUEST_INVALID"
    assert "orders" in (refused.value.candidates or ())


def test_an_async_model_does_so_too(server: Server) -> None:
    async def report() -> list[Any]:
        async with AsyncOnefold(server.url) as client:
            await client.report_importances("model", {"orders": 1.0}, model="async")
            return list(await client.importances("model"))

    assert asyncio.run(report())[0]["model"] == "async"
