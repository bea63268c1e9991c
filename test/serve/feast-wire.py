"""Holds the server to Feast's own request and response code where its SDK's `FeatureStore` does not come by: prints as JSON.

`POST /push` is posted to by one module of the SDK, the tool of `feast.mcp`, and described by the request model of Feast's own
server; both are used here. Answers go through the model of Feast's server, and through its protobuf messages with its JSON.

Argument: the address of a server.
"""

import asyncio
import json
import sys
import types

import requests
from feast import proto_json
from feast.feature_server import (
    GetOnlineFeaturesRequest,
    OnlineFeaturesResponse,
    PushFeaturesRequest,
    WriteToFeatureStoreRequest,
)
from feast.feature_server_utils import convert_response_to_dict
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus, GetOnlineFeaturesResponse
from feast.protos.feast.types.Value_pb2 import DoubleList, Value
from google.protobuf import json_format

address = sys.argv[1]
proto_json.patch()


class Tools:
    """Keeps the functions that are to be tools."""

    def __init__(self, name):
        self.by_name = {}

    def tool(self, function):
        self.by_name[function.__name__] = function
        return function


class ToolError(Exception):
    """What a tool raises."""


# What the SDK does not bring: the server that offers its tools to others, and whoever asks it.
sys.modules["fastmcp"] = types.SimpleNamespace(FastMCP=Tools)
sys.modules["fastmcp.exceptions"] = types.SimpleNamespace(ToolError=ToolError)
sys.modules["feast.mcp.auth"] = types.SimpleNamespace(get_auth_token=lambda: None)
from feast.mcp.client import FeastClient  # noqa: E402
from feast.mcp.features import create_features_mcp  # noqa: E402

tools = create_features_mcp(FeastClient(address))


def rows(*given):
    names = ["driver_id", "trip_id", "fare", "stars", "ended_at"]
    return {name: [row[i] for row in given] for i, name in enumerate(names)}


def post(path, model):
    return requests.post(
        f"{address}{path}", data=model.model_dump_json(), headers={"content-type": "application/json"}
    )


NOW, BEFORE = "2026-03-01T12:00:00Z", "2026-03-01T09:00:00Z"
BIG = 2**53 + 3
pushed = {}
for i, to in enumerate(["online", "offline", "online_and_offline"]):
    request = PushFeaturesRequest(push_source_name="trips", df=rows((2001, f"p{i}", 10.0, 4, NOW)), to=to)
    response = post("/push", request)
    pushed[to] = [response.status_code, response.text]
written = post(
    "/write-to-online-store",
    WriteToFeatureStoreRequest(
        feature_view_name="driver_trips", df=rows((2002, "w1", 7.0, None, NOW), (2003, "w2", 1.5, 3, BEFORE))
    ),
)
refused = post("/push", PushFeaturesRequest(push_source_name="trip", df=rows((1, "r1", 1.0, 1, NOW))))


async def push_as_a_tool():
    push = tools.by_name["push"]
    return [
        await push("trips", rows((BIG, f"m{i}", 2.0, 1, NOW)), to=to)
        for i, to in enumerate(["online", "offline", "online_and_offline"])
    ]


pushed_by_tool = asyncio.run(push_as_a_tool())

asked = GetOnlineFeaturesRequest(
    entities={"driver_id": [2001, 2002, 2003, 2004, BIG]},
    features=[
        "driver_trips:trips_1h",
        "driver_trips:fare_1h",
        "driver_trips:last_stars",
        "driver_trips:fresh_fare",
        "driver_trips:last_trip",
        "driver_trips:fares",
        "driver_trips:last_at",
        "driver_trips:is_dear",
        "driver_trips:account",
    ],
)
answer = post("/get-online-features", asked)
answer.raise_for_status()
model = OnlineFeaturesResponse.model_validate_json(answer.text)


def parsed(body):
    """The message that a body stands for: nulls, which Feast's server writes among values, are put back in their places, as
    protobuf writes and does not read them there."""
    message = json_format.ParseDict(
        {
            **body,
            "results": [
                {**result, "values": [value for value in result["values"] if value is not None]}
                for result in body["results"]
            ],
        },
        GetOnlineFeaturesResponse(),
    )
    for result, given in zip(message.results, body["results"]):
        known = iter(list(result.values))
        del result.values[:]
        result.values.extend(Value(null_val=0) if value is None else next(known) for value in given["values"])
    return message


message = parsed(answer.json())

# Numbers that are not finite, as Feast's server writes the values that it has.
scores = [float("nan"), float("inf"), float("-inf"), 2.0]
post(
    "/push",
    PushFeaturesRequest(
        push_source_name="checks",
        df={"driver_id": [1, 2, 3, 4], "at": [NOW] * 4, "score": ["NaN", "Infinity", "-Infinity", 2.0]},
    ),
).raise_for_status()
checked = post(
    "/get-online-features",
    GetOnlineFeaturesRequest(
        entities={"driver_id": [1, 2, 3, 4]}, features=["driver_checks:last_score", "driver_checks:scores"]
    ),
)
# Strictly: Python's parser takes NaN for a number.
not_finite = [result["values"] for result in json.loads(checked.text, parse_constant=int)["results"][1:]]
held = GetOnlineFeaturesResponse()
held.results.add().values.extend(Value(double_val=score) for score in scores)
held.results.add().values.extend(Value(double_list_val=DoubleList(val=[score])) for score in scores)


def read(value):
    """What Feast's code takes a value for, and the value."""
    which = value.WhichOneof("val")
    if which == "null_val":
        return [which, None]
    held = getattr(value, which)
    return [which, str(held) if which == "int64_val" else list(held.val) if "_list_" in which else held]


print(
    json.dumps(
        {
            "pushed": pushed,
            "written": [written.status_code, written.text],
            "refused": [refused.status_code, refused.json()["error"]["code"]],
            "pushed_by_tool": pushed_by_tool,
            "names": list(message.metadata.feature_names.val),
            "values": [[read(value) for value in result.values] for result in message.results],
            "statuses": [[FieldStatus.Name(status) for status in result.statuses] for result in message.results],
            "event_timestamps": [
                [time.ToJsonString() for time in result.event_timestamps] for result in message.results
            ],
            "is_of_the_model": model.model_dump()["results"] == answer.json()["results"],
            "is_what_feast_writes": convert_response_to_dict(message) == answer.json(),
            "not_finite": {
                "last_score": not_finite[0],
                "scores": not_finite[1],
                "is_what_feast_writes": not_finite
                == [result["values"] for result in convert_response_to_dict(held)["results"]],
            },
        }
    )
)
