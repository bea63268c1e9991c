"""What leaking would have cost: a training set as known, compared with what is known in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ._frames import pandas
from .types import time_of_wire

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LeakageExample:
    """A label row whose value would be another.

    Attributes:
        row: Counted from 1, without a header.
        time: Its label's, in UTC.
        keys: As text, by entity.
        as_known: As JSON carries it; null as None.
        final: With all that is known in the end.
    """

    row: int
    time: datetime
    keys: Mapping[str, str]
    as_known: Any
    final: Any
    as_known_status: str
    final_status: str


@dataclass(frozen=True)
class FeatureLeakage:
    """What leaking would have done to one feature.

    Attributes:
        name: Of its column.
        rows_changed: Label rows in which the value would be another.
        share: Of all label rows, 0 to 1.
        rows_with_one_value: Changed rows in which only one of the two has a value.
        mean_absolute_difference: Over changed rows with both values, of a number; a timestamp's in microseconds. Else None.
        examples: Those that change most.
    """

    name: str
    service: str
    view: str
    type: str
    rows_changed: int
    share: float
    rows_with_one_value: int
    mean_absolute_difference: float | None
    examples: tuple[LeakageExample, ...]


@dataclass(frozen=True)
class LeakageReport:
    """What leaking would have cost a training set.

    Attributes:
        rows_changed: Label rows in which at least one feature would be another.
        features: In the order of the set.
    """

    services: tuple[str, ...]
    rows: int
    rows_changed: int
    features: tuple[FeatureLeakage, ...]

    def __getitem__(self, name: str) -> FeatureLeakage:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def to_pandas(self) -> pd.DataFrame:
        """One row a feature, by its name, without the examples."""
        columns = ["rows_changed", "share", "rows_with_one_value", "mean_absolute_difference"]
        frame = pandas().DataFrame(
            [[getattr(feature, column) for column in columns] for feature in self.features],
            index=pandas().Index([feature.name for feature in self.features], name="feature"),
            columns=columns,
        )
        return frame.astype({"mean_absolute_difference": "float64"})

    @classmethod
    def of_wire(cls, report: Mapping[str, Any]) -> LeakageReport:
        return cls(
            services=tuple(report["services"]),
            rows=report["rows"],
            rows_changed=report["rowsChanged"],
            features=tuple(_feature(feature) for feature in report["features"]),
        )


def _feature(feature: Mapping[str, Any]) -> FeatureLeakage:
    return FeatureLeakage(
        name=feature["name"],
        service=feature["service"],
        view=feature["view"],
        type=feature["type"],
        rows_changed=feature["rowsChanged"],
        share=feature["share"],
        rows_with_one_value=feature["rowsWithOneValue"],
        mean_absolute_difference=feature["meanAbsoluteDifference"],
        examples=tuple(_example(example) for example in feature["examples"]),
    )


def _example(example: Mapping[str, Any]) -> LeakageExample:
    return LeakageExample(
        row=example["row"],
        time=time_of_wire(example["time"]) or datetime.min,
        keys=example["keys"],
        as_known=example["asKnown"],
        final=example["final"],
        as_known_status=example["asKnownStatus"],
        final_status=example["finalStatus"],
    )
