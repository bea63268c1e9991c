"""Reads and pushes with Feast's own SDK, `online_store: {type: remote}`, and prints what it got as JSON.

Arguments: the address of a server, a folder to work in.
"""

import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, PushSource, RequestSource
from feast.data_source import PushMode
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Bool, Float64, Int64, String, UnixTimestamp
from feast.value_type import ValueType

address, folder = sys.argv[1], Path(sys.argv[2])
(folder / "feature_store.yaml").write_text(
    f"""project: onefold
registry: {folder}/registry.db
provider: local
online_store:
  type: remote
  path: {address}
offline_store:
  type: file
entity_key_serialization_version: 3
"""
)
pandas.DataFrame(
    {"driver_id": [1], "ended_at": [pandas.Timestamp("2026-01-01", tz="UTC")], "fare": [1.0]}
).to_parquet(folder / "trips.parquet")

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
file = FileSource(name="trips_file", path=str(folder / "trips.parquet"), timestamp_field="ended_at")
# What is pushed: a second view, called as the stream, with the stream's columns.
trips = FeatureView(
    name="trips",
    entities=[driver],
    ttl=timedelta(days=1),
    schema=[
        Field(name="driver_id", dtype=Int64),
        Field(name="trip_id", dtype=String),
        Field(name="fare", dtype=Float64),
        Field(name="stars", dtype=Int64),
    ],
    source=PushSource(name="trips", batch_source=file),
)
# What is read: named as the view, with its features.
driver_trips = FeatureView(
    name="driver_trips",
    entities=[driver],
    ttl=timedelta(days=1),
    schema=[
        Field(name="driver_id", dtype=Int64),
        Field(name="trips_1h", dtype=Int64),
        Field(name="fare_1h", dtype=Float64),
        Field(name="mean_fare", dtype=Float64),
        Field(name="last_stars", dtype=Int64),
        Field(name="last_trip", dtype=String),
        Field(name="fares", dtype=Array(Float64)),
        Field(name="last_at", dtype=UnixTimestamp),
        Field(name="is_dear", dtype=Bool),
        Field(name="account", dtype=Int64),
    ],
    source=file,
)
pricing = FeatureService(name="pricing", features=[driver_trips])

store = FeatureStore(repo_path=str(folder))
store.apply([driver, trips, driver_trips, pricing])

pushed_at = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def frame(*given):
    return pandas.DataFrame(
        {
            "driver_id": [row[0] for row in given],
            "trip_id": [row[1] for row in given],
            "fare": [row[2] for row in given],
            "stars": pandas.array([row[3] for row in given], dtype="Int64"),
            "ended_at": [pushed_at + timedelta(seconds=row[4]) for row in given],
        }
    )


rows = frame((1001, "t1", 10.0, 5, 0), (1001, "t2", 30.0, None, 1))
more_rows = frame((2**53 + 1, "t3", 7.0, 1, 0))
store.push("trips", rows, to=PushMode.ONLINE)
store.write_to_online_store("trips", more_rows)

entity_rows = [{"driver_id": 1001}, {"driver_id": 2**53 + 1}, {"driver_id": 5}]
names = [field.name for field in driver_trips.features]
by_reference = store.get_online_features(
    features=[f"driver_trips:{name}" for name in names], entity_rows=entity_rows
)
by_service = store.get_online_features(
    features=pricing, entity_rows=entity_rows[:1], full_feature_names=True
)
try:
    store.get_online_features(features=["driver_trips:trips_2h"], entity_rows=entity_rows)
    unknown = "no error"
except Exception as error:  # noqa: BLE001
    unknown = f"{type(error).__name__}: {error}"


def statuses(response):
    proto = response.proto
    return {
        name: list(result.statuses)
        for name, result in zip(proto.metadata.feature_names.val, proto.results)
    }


print(
    json.dumps(
        {
            "by_reference": by_reference.to_dict(),
            "types": {
                name: [value.WhichOneof("val") for value in result.values]
                for name, result in zip(by_reference.proto.metadata.feature_names.val, by_reference.proto.results)
            },
            "statuses": statuses(by_reference),
            "by_service": by_service.to_dict(),
            "unknown": unknown,
        },
        default=str,
    )
)
