"""What Feast can do of the same: the latest row of one view before each label, from a Parquet file.

usage: feast_join.py FOLDER EVENTS LABELS OUT; prints seconds of get_historical_features, and writes its rows.
"""

import json
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64
from feast.value_type import ValueType

folder, events, labels, out = sys.argv[1:5]
Path(folder).mkdir(parents=True, exist_ok=True)
config = RepoConfig(
    project="bench",
    provider="local",
    registry=str(Path(folder) / "registry.db"),
    online_store=None,
    entity_key_serialization_version=3,
)
store = FeatureStore(config=config)
user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
source = FileSource(path=events, timestamp_field="paid_at")
view = FeatureView(
    name="payments",
    entities=[user],
    ttl=timedelta(days=365),
    schema=[Field(name="amount", dtype=Float64)],
    source=source,
    online=False,
)
store.apply([user, view])

began = time.perf_counter()
entity_df = pd.read_parquet(labels)
job = store.get_historical_features(entity_df=entity_df, features=["payments:amount"])
frame = job.to_df()
frame[["label_id", "user_id", "amount"]].to_parquet(out)
seconds = time.perf_counter() - began
usage = resource.getrusage(resource.RUSAGE_SELF)
peak = usage.ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "cpuSeconds": usage.ru_utime + usage.ru_stime, "peakBytes": peak, "rows": len(frame)}))
