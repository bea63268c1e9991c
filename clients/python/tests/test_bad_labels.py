"""Label rows that are not as they should be: refused by row, or with the result that docs/training.md states."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from conftest import HERE
from onefold import Onefold, OnefoldError, TrainingSet

ALL: list[dict[str, Any]] = json.loads((HERE / "bad_labels.json").read_text(encoding="utf-8"))
# Of each kind of file one of each end: all are tried over HTTP and by the command line in test/cli/bad-labels.test.ts.
CASES = list({(Path(case["file"]).suffix, case.get("code")): case for case in ALL}.values())


def test_bad_label_files(client: Onefold, tmp_path: Path) -> None:
    sets: list[TrainingSet | OnefoldError] = []
    for number, case in enumerate(CASES):
        path = tmp_path / f"{number}-{case['file']}"
        write(path, case)
        try:
            # No more may wait than some: what is refused at once never does.
            training_set = client.start_training_set(path, case.get("service", "model"))
            training_set.wait(progress=False)
            sets.append(training_set)
        except OnefoldError as error:
            sets.append(error)
    for case, came in zip(CASES, sets, strict=True):
        if "code" in case:
            assert isinstance(came, OnefoldError), case
            assert came.code == case["code"], case
            assert case.get("says", "") in f"{came.message} {came.where}", case
        else:
            assert isinstance(came, TrainingSet), (case, came)
            frame = came.to_pandas()
            assert frame["orders"].tolist() == case["orders"], case
            columns = case.get("columns", [])
            assert list(frame.columns)[: len(columns)] == columns, case


def write(path: Path, case: dict[str, Any]) -> None:
    if "cut" not in case:
        path.write_text(case["text"], encoding="utf-8")
        return
    pd.read_csv(io.StringIO(case["text"]), parse_dates=["event_timestamp"]).to_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(case["cut"] * len(whole))])


AT = datetime(2026, 3, 1, 8, 30, tzinfo=timezone.utc)


def test_bad_label_frames(client: Onefold) -> None:
    def refused(frame: pd.DataFrame, service: str = "model") -> OnefoldError:
        with pytest.raises(OnefoldError) as caught:
            client.get_training_data(frame, service, progress=False)
        return caught.value

    null = refused(pd.DataFrame({"user_id": ["ada", None], "event_timestamp": [AT, AT]}))
    assert null.code == "SPINE_INVALID" and "row 2 is the first" in str(null.where)
    fraction = refused(pd.DataFrame({"shop": ["b"], "account": [1.5], "event_timestamp": [AT]}), "pairs")
    assert fraction.code == "SPINE_INVALID" and "account" in fraction.message
    unparsable = refused(pd.DataFrame({"user_id": ["ada", "ada"], "event_timestamp": [AT.isoformat(), "soon"]}))
    assert unparsable.code == "SPINE_INVALID" and "row 2 is the first" in str(unparsable.where)
    absent = refused(pd.DataFrame({"user_id": ["ada", "ada"], "event_timestamp": pd.to_datetime([None, AT])}))
    assert absent.code == "SPINE_INVALID" and "row 1 is the first" in str(absent.where)
    number = refused(pd.DataFrame({"user_id": ["ada"], "event_timestamp": [1772353800]}))
    assert number.code == "SPINE_INVALID" and "not a time" in number.message
    assert refused(pd.DataFrame({"event_timestamp": [AT]})).code == "SPINE_INVALID"
    twice = pd.DataFrame([["ada", AT, 1, 2]], columns=["user_id", "event_timestamp", "price", "price"])
    assert refused(twice).code == "SPINE_INVALID" and "two columns named price" in refused(twice).message
    # A table can have them, and a frame names of two cases: both get to the server.
    table = pa.table([["ada"], [AT], [1], [2]], names=["user_id", "event_timestamp", "price", "price"])
    for labels in [table, twice.set_axis(["user_id", "event_timestamp", "price", "Price"], axis=1)]:
        with pytest.raises(OnefoldError, match="SPINE_INVALID.*price"):
            client.start_training_set(labels, "model").wait(progress=False)


def test_label_frames_that_are_taken_as_they_are(client: Onefold) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    same = [AT, AT.astimezone(zone), AT.astimezone(timezone(timedelta(hours=-8)))]
    before = AT.replace(hour=8, minute=10).astimezone(zone)
    zones = pd.DataFrame({"user_id": ["ada"] * 4, "event_timestamp": pd.Series([*same, before], dtype=object)})
    assert client.get_training_data(zones, "model", progress=False)["orders"].tolist() == [2, 2, 2, 1]
    text = zones.assign(event_timestamp=[time.isoformat() for time in zones["event_timestamp"]])
    assert client.get_training_data(text, "model", progress=False)["orders"].tolist() == [2, 2, 2, 1]
    twice = pd.DataFrame({"user_id": ["ada", "ben", "ada"], "event_timestamp": [AT] * 3, "x y": [1, 2, 3]}, index=[7, 7, 7])
    got = client.get_training_data(twice, "model", progress=False)
    assert got["orders"].tolist() == [2, 1, 2] and list(got.index) == [7, 7, 7] and list(got["x y"]) == [1, 2, 3]
    assert len(client.get_training_data(twice[:0], "model", progress=False)) == 0
