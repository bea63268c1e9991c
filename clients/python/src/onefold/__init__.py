"""Onefold's Python client: feature vectors, events and training sets of a running server."""

from .async_client import AsyncOnefold, AsyncTrainingSet
from .client import Onefold, TrainingSet
from .errors import OnefoldError
from .types import FeatureVector, PushResult, ServerPath, TrainingJob, TrainingProgress

__all__ = [
    "AsyncOnefold",
    "AsyncTrainingSet",
    "FeatureVector",
    "Onefold",
    "OnefoldError",
    "PushResult",
    "ServerPath",
    "TrainingJob",
    "TrainingProgress",
    "TrainingSet",
]
__version__ = "0.1.0"
