"""Writes test/vector/transformations/references.json: what scikit-learn makes of small columns, and what
MurmurHash3 (mmh3) makes of values as the platform writes them as bytes. Tests read the file and need no Python.

    pip install scikit-learn mmh3
    python3 scripts/transformation-references.py
"""

import json
import random
import struct
from importlib.metadata import version
from pathlib import Path

import mmh3
import numpy
import sklearn
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

random.seed(2001)
# Fitted to the first of each, applied to the second.
NUMBERS = {
    "delays": ([random.gauss(8, 35) for _ in range(60)], [-100.0, 0.0, 7.5, 3000.0]),
    "skewed": ([random.expovariate(0.02) for _ in range(41)], [0.0, 12.25, 1e6]),
    "whole": ([float(random.randint(-3, 12)) for _ in range(50)], [-4.0, 0.0, 13.0]),
    "tiny": ([random.uniform(1e-9, 1.1e-9) for _ in range(30)], [0.0, 1.05e-9]),
    "far": ([1e9 + random.random() for _ in range(30)], [1e9, 1e9 + 2]),
    "constant": ([3.25] * 9, [3.25, 4.25]),
}
CARRIERS = random.choices(["AA", "DL", "WN", "UA", "US", "B6"], weights=[9, 7, 5, 3, 2, 1], k=80)


def column(values):
    return numpy.array(values, dtype=float).reshape(-1, 1)


def flat(matrix):
    return [float(value) for value in numpy.asarray(matrix).reshape(-1)]


def scaled(scaler, train, other):
    fitted = scaler.fit(column(train))
    return flat(fitted.transform(column(train + other)))


def of_numbers(train, other):
    bins = KBinsDiscretizer(
        n_bins=4, encode="ordinal", strategy="quantile", quantile_method="linear", subsample=None
    )
    with_null = column(train + [float("nan")])
    impute = {
        by: float(SimpleImputer(strategy=by).fit(with_null).statistics_[0])
        for by in ["mean", "median", "most_frequent"]
    }
    return {
        "train": train,
        "other": other,
        "standardize": scaled(StandardScaler(), train, other),
        "minMax": scaled(MinMaxScaler(), train, other),
        "minMaxRange": scaled(MinMaxScaler(feature_range=(-1, 1)), train, other),
        # scikit-learn drops bins narrower than 1e-8
        "quantileBins": None
        if max(train) - min(train) < 1e-6
        else [int(b) for b in scaled(bins, train, other)],
        "impute": impute,
    }


def of_categories(train, other):
    counts = {value: train.count(value) for value in set(train)}
    order = sorted(counts, key=lambda value: (-counts[value], value))
    given = numpy.array(train + other, dtype=object).reshape(-1, 1)
    fitted_to = numpy.array(train, dtype=object).reshape(-1, 1)
    one_hot = OneHotEncoder(categories=[order], handle_unknown="ignore", sparse_output=False).fit(fitted_to)
    ordinal = OrdinalEncoder(
        categories=[order], handle_unknown="use_encoded_value", unknown_value=len(order)
    ).fit(fitted_to)
    most_frequent = SimpleImputer(strategy="most_frequent").fit(fitted_to)
    return {
        "train": train,
        "other": other,
        "oneHot": [[int(x) for x in row] for row in one_hot.transform(given)],
        "ordinal": [int(x) for x in ordinal.transform(given).reshape(-1)],
        "mostFrequent": most_frequent.statistics_[0],
    }


def value_bytes(value):
    """As src/fold/object-codec.ts writes a value."""
    if isinstance(value, bool):
        return bytes([2 if value else 1])
    if isinstance(value, (int, float)):
        return bytes([3]) + struct.pack("<d", value)
    if isinstance(value, list):
        return bytes([7]) + struct.pack("<I", len(value)) + b"".join(value_bytes(one) for one in value)
    surrogates = any(ord(character) > 0xFFFF for character in value)
    text = value.encode("utf-16-le" if surrogates else "utf-8")
    return bytes([5 if surrogates else 4]) + struct.pack("<I", len(text)) + text


def bucket(value, buckets):
    digest = mmh3.hash_bytes(value_bytes(value), seed=0, x64arch=False)
    first, second = struct.unpack("<II", digest[:8])
    return ((first << 21) + (second >> 11)) % buckets


HASHED = ["AA", "DL", "", "\U0001f6eb", "a carrier with a long name", 0, 1, -1, 2**53 - 1, True, False]
CROSSED = [["JFK", "LAX"], ["ab", "c"], ["a", "bc"], ["", "abc"], [3, "AA", True]]

result = {
    "written by": f"scripts/transformation-references.py, scikit-learn {sklearn.__version__}, mmh3 {version('mmh3')}",
    "numbers": {name: of_numbers(*values) for name, values in NUMBERS.items()},
    "categories": of_categories(CARRIERS, ["AA", "XX", "B6"]),
    "buckets": [[value, bucket(value, 1000)] for value in HASHED],
    "crossed": [[values, bucket(values, 2**31 - 1)] for values in CROSSED],
}
path = Path(__file__).parent.parent / "test" / "vector" / "transformations" / "references.json"
path.write_text(json.dumps(result, indent=1) + "\n")
