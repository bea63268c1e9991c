"""Training sets: what comes back, how it is told, and what becomes of it when nobody waits any more."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import BIG_ACCOUNT, Server, new_server, order
from onefold import AsyncOnefold, Onefold, OnefoldError, ServerPath, Ticks, TrainingJob
from test_features import ADA, DTYPES, time


def labels() -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "user_id": ["ada", "ben", "nobody", "ada", "ada"],
            "event_timestamp": [time(60), time(60), time(60), time(21), time(60)],
            "weight": numpy.array([1, 2, 3, 4, 5], dtype="int32"),
            "maybe": pd.array([1, None, 3, 4, None], dtype="Int64"),
            "kind": pd.Categorical(["x", "y", "x", "x", "y"]),
            "local": pd.to_datetime(["2026-03-01"] * 5),
        },
        index=pd.Index([3, 1, 4, 15, 9], name="row"),
    )
    return frame


def test_training_data_keep_rows_index_and_dtypes(client: Onefold) -> None:
    given = labels()
    seen: list[TrainingJob] = []
    got = client.get_training_data(given, "model", progress=seen.append)
    pd.testing.assert_frame_equal(got[list(given.columns)], given)
    assert list(got.columns) == [*given.columns, *DTYPES]
    assert {name: str(got[name].dtype) for name in DTYPES} == DTYPES
    # At the hour's end ada has three orders of it, which to a request of now are long past.
    expected = {**ADA, "orders_1h": 3}
    assert [{name: row[name] for name in DTYPES} for _, row in got.iloc[[0, 4]].iterrows()] == [expected, expected]
    early = got.iloc[3]
    assert (early["orders"], early["amounts"], early["times"]) == (2, [10.0, 20.0], [time(5), time(20)])
    nobody = got.iloc[2]
    assert nobody["orders"] == 0 and nobody["last_account"] is pd.NA and nobody["amounts"] is None
    assert got.iloc[1]["last_gift"] is pd.NA and got.iloc[1]["last_receipt"] is None
    assert [job.state for job in seen][-1] == "done"
    assert seen[-1].rows == 5 and seen[-1].features == tuple(DTYPES)


def test_no_labels_are_a_frame_of_no_rows(client: Onefold) -> None:
    got = client.get_training_data(labels()[:0], "model", progress=False)
    assert len(got) == 0 and list(got.columns) == [*labels().columns, *DTYPES]
    assert {name: str(got[name].dtype) for name in DTYPES} == DTYPES


def test_the_async_client_gets_the_same(server: Server, client: Onefold) -> None:
    async def ask() -> pd.DataFrame:
        async with AsyncOnefold(server.url, timeout=60) as other:
            return await other.get_training_data(labels(), "model", progress=False)

    pd.testing.assert_frame_equal(asyncio.run(ask()), client.get_training_data(labels(), "model", progress=False))


def test_options_reach_the_server(client: Onefold) -> None:
    frame = pd.DataFrame({"customer": ["ada", "ada"], "at": [time(20), time(400_000)], "price": [40.0, 10.0]})
    options: dict[str, Any] = {"time_column": "at", "key_columns": {"user": "customer"}, "progress": False}
    with pytest.raises(OnefoldError) as ambiguous:
        client.get_training_data(frame[:1], "priced", **options)
    assert ambiguous.value.code == "SPINE_AMBIGUOUS_TIME" and ambiguous.value.hint
    far = frame.assign(at=[time(20), pd.Timestamp.now("UTC") + pd.Timedelta(days=1)])
    with pytest.raises(OnefoldError, match="SPINE_AFTER_LOG"):
        client.get_training_data(far, "priced", boundary="inclusive", **options)
    got = client.get_training_data(far, "priced", boundary="exclusive", statuses=True, allow_after_log=True, **options)
    assert list(got["ratio"])[:1] == [4.0]
    assert list(got["orders__status"]) == ["PRESENT", "PRESENT"]
    assert list(got["after_log_end"]) == [False, True] and str(got["after_log_end"].dtype) == "boolean"


def test_several_services_stand_side_by_side(client: Onefold) -> None:
    frame = labels().assign(price=40.0)
    got = client.get_training_data(frame, ["model", "priced"], statuses=True, progress=False)
    own = {name: client.get_training_data(frame, name, progress=False) for name in ("model", "priced")}
    assert list(got.columns)[len(frame.columns) :][: len(DTYPES)] == [
        "model__orders" if name == "orders" else name for name in DTYPES
    ]
    for service, name, column in [("model", "orders", "model__orders"), ("priced", "orders", "priced__orders")]:
        pd.testing.assert_series_equal(got[column], own[service][name], check_names=False)
    for name in ("amount", "times", "last_account"):
        pd.testing.assert_series_equal(got[name], own["model"][name])
    pd.testing.assert_series_equal(got["ratio"], own["priced"]["ratio"])
    assert list(got["priced__orders__status"])[2] == "NOT_FOUND"
    with pytest.raises(OnefoldError, match="of several services, a fit needs the name"):
        client.get_training_data(frame, ["model", "priced"], fit=1, progress=False)
    uploaded = client.start_training_set(frame, ["model"], token_column={"model": "kind"}, split=["2026-03-01T09:00:00Z"])
    assert uploaded.job.options["service"] == "model"
    assert uploaded.job.options["token_column"] == {"model": "kind"}
    uploaded.delete()


def test_ticks_stand_in_place_of_labels(client: Onefold) -> None:
    ticks = Ticks(timedelta(minutes=30), start=time(0), end=time(61))
    got = client.get_training_data(ticks, "model", split=[0.7, 0.3], progress=False)
    assert list(got.columns) == ["user_id", "event_timestamp", "split", *DTYPES]
    assert [tuple(row) for row in got[["user_id", "event_timestamp", "orders"]].itertuples(index=False)] == [
        ("ada", time(30), 2),
        ("ben", time(30), 1),
        ("ada", time(60), 3),
        ("ben", time(60), 1),
    ]
    assert list(got["split"]) == ["train", "train", "test", "test"]
    assert {name: str(got[name].dtype) for name in DTYPES} == DTYPES
    entities = pd.DataFrame({"user_id": ["nobody", "ada"], "city": ["Oslo", "Bonn"]})
    hours = Ticks("1h", entities, "2026-03-01T08:00:00Z", "2026-03-01T09:00:00Z")
    some = client.get_training_data(hours, "model", split=[time(59)], progress=False)
    assert list(some["user_id"]) == ["nobody", "ada", "nobody", "ada"] and list(some["city"])[:2] == ["Oslo", "Bonn"]
    assert list(some["orders"]) == [0, 0, 0, 3] and list(some["split"]) == ["train", "train", "test", "test"]
    final = client.get_training_data(ticks, "model", knowledge="final", progress=False)
    pd.testing.assert_frame_equal(final, got.drop(columns="split"))
    with pytest.raises(OnefoldError, match="DURATION_INVALID"):
        client.get_training_data(Ticks("often"), "model", progress=False)


def test_labels_of_every_form(server: Server, client: Onefold, tmp_path: Path) -> None:
    frame = labels()[["user_id", "event_timestamp"]].reset_index(drop=True)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, tmp_path / "labels.parquet")
    frame.to_csv(tmp_path / "labels.csv", index=False)
    frame.to_csv(server.folder / "labels" / "labels.csv", index=False)
    rows = [{"user_id": user, "event_timestamp": at} for user, at in zip(frame["user_id"], frame["event_timestamp"])]
    forms = [table, tmp_path / "labels.parquet", str(tmp_path / "labels.csv"), ServerPath("labels.csv"), rows]
    sets = [client.start_training_set(form, "model") for form in forms]
    expected = client.get_training_data(frame, "model", progress=False)[list(DTYPES)]
    for training_set in sets:
        training_set.wait(progress=False)
        pd.testing.assert_frame_equal(training_set.to_pandas()[list(DTYPES)], expected)
    with pytest.raises(OnefoldError, match="PATH_NOT_ALLOWED"):
        client.start_training_set(ServerPath("../features.ts"), "model")
    with pytest.raises(FileNotFoundError):
        client.start_training_set(tmp_path / "none.csv", "model")
    with pytest.raises(ValueError, match="label files end in"):
        client.start_training_set(tmp_path / "labels.xlsx", "model")
    with pytest.raises(ValueError, match="text names"):
        client.start_training_set(pd.DataFrame({0: ["ada"]}), "model")

    first = sets[0]
    first.download(tmp_path / "set.arrows", "arrow")
    arrow = pa.ipc.open_stream(tmp_path / "set.arrows").read_all()
    assert arrow.select(list(DTYPES)).equals(first.to_arrow().select(list(DTYPES)))
    assert arrow.column("last_account").to_pylist()[0] == BIG_ACCOUNT
    first.download(tmp_path / "manifest.json", "manifest")
    assert json.loads((tmp_path / "manifest.json").read_text())["spine"]["rows"] == 5
    assert first.id in [one.id for one in client.training_sets()]
    first.delete()
    with pytest.raises(OnefoldError, match="TRAINING_SET_UNKNOWN"):
        client.training_set(first.id)


def test_bad_labels_raise_what_the_server_says(client: Onefold) -> None:
    with pytest.raises(OnefoldError) as missing:
        client.get_training_data(labels().drop(columns="user_id"), "model", progress=False)
    assert missing.value.code == "SPINE_INVALID" and "user_id" in missing.value.message
    with pytest.raises(OnefoldError) as null:
        client.get_training_data(labels().assign(user_id=["ada", None, "a", "b", "c"]), "model", progress=False)
    assert null.value.code == "SPINE_INVALID" and null.value.where is not None and "row 2" in null.value.where
    failed = client.start_training_set(labels().drop(columns="event_timestamp"), "model")
    with pytest.raises(OnefoldError, match="SPINE_INVALID"):
        failed.wait(progress=False)
    with pytest.raises(OnefoldError, match="TRAINING_SET_NOT_DONE"):
        failed.to_arrow()


def test_a_set_that_is_cancelled_ends(server: Server, client: Onefold) -> None:
    cancelled = client.start_training_set(labels(), "model")
    assert cancelled.cancel().state == "cancelled"
    with pytest.raises(OnefoldError, match="CANCELLED"):
        cancelled.wait(progress=False)

    async def give_up() -> TrainingJob:
        async with AsyncOnefold(server.url, timeout=60) as other:
            training_set = await other.start_training_set(labels(), "model")
            waiting = asyncio.create_task(training_set.wait(progress=False))
            while training_set.job.state != "running":
                await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            return await training_set.refresh()

    assert asyncio.run(give_up()).state == "cancelled"


def test_a_bar_is_shown_and_cleared(client: Onefold, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    client.get_training_data(labels(), "model", progress=True)
    shown = capsys.readouterr().err
    assert "training set: " in shown and " rows" in shown
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    client.get_training_data(labels(), "model", progress=True)
    assert capsys.readouterr().err == ""


def test_a_restart_of_the_server_is_survived_and_told(tmp_path: Path) -> None:
    server = new_server(tmp_path)
    server.start()
    port = server.url.rsplit(":", 1)[1]
    try:
        with Onefold(server.url, timeout=60) as client:
            training_set = client.start_training_set(labels(), "model")
            restarting = threading.Thread(target=lambda: (server.stop(), server.start(port)))
            restarting.start()
            with pytest.raises(OnefoldError) as interrupted:
                training_set.wait(progress=False, patience=300)
            restarting.join()
            assert interrupted.value.code == "TRAINING_INTERRUPTED"
            assert training_set.refresh().state == "interrupted"
            assert len(client.get_training_data(labels(), "model", progress=False)) == 5
    finally:
        server.stop()


def test_leakage_is_told_by_feature(client: Onefold) -> None:
    # Known from now on, long after the labels, though it happened before them.
    late = order(900, "late", 10, 4.0, 2)
    client.push("orders", late, idempotent=True).raise_for_rejected()
    frame = pd.DataFrame({"user_id": ["ada", "late", "ada"], "event_timestamp": [time(60), time(60), time(61)]})
    report = client.explain_leakage(frame, "model", progress=False)
    assert (report.services, report.rows, report.rows_changed) == (("model",), 3, 1)
    assert [feature.name for feature in report.features] == list(DTYPES)
    orders = report["orders"]
    assert (orders.rows_changed, orders.rows_with_one_value, orders.mean_absolute_difference) == (1, 0, 1)
    assert orders.share == pytest.approx(1 / 3)
    [example] = orders.examples
    assert (example.row, example.time, dict(example.keys)) == (2, time(60), {"user": "late"})
    assert (example.as_known, example.final) == (0, 1)
    assert (example.as_known_status, example.final_status) == ("NOT_FOUND", "PRESENT")
    shop = report["last_shop"]
    assert (shop.rows_with_one_value, shop.mean_absolute_difference) == (1, None)
    assert list(report.to_pandas().index) == list(DTYPES)
    assert report.to_pandas()["rows_changed"]["orders"] == 1

    with pytest.raises(KeyError):
        report["none"]
    plain = client.start_training_set(frame, "model")
    plain.wait(progress=False)
    with pytest.raises(OnefoldError, match="REQUEST_INVALID"):
        plain.leakage()
    with pytest.raises(OnefoldError, match="explain_leakage"):
        client.start_training_set(frame, "model", knowledge="final", explain_leakage=True)

