"""Onefold's Python client: feature vectors, events and training sets of a running server."""

from .async_client import AsyncOnefold
from .async_training_set import AsyncTrainingSet
from .client import Onefold
from .errors import OnefoldError
from .leakage import FeatureLeakage, LeakageExample, LeakageReport
from .training_set import TrainingSet
from .types import FeatureVector, PushResult, ServerPath, Ticks, TrainingJob, TrainingProgress

__all__ = [
    "AsyncOnefold",
    "AsyncTrainingSet",
    "FeatureLeakage",
    "FeatureVector",
    "LeakageExample",
    "LeakageReport",
    "Onefold",
    "OnefoldError",
    "PushResult",
    "ServerPath",
    "Ticks",
    "TrainingJob",
    "TrainingProgress",
    "TrainingSet",
]
__version__ = "0.1.0"
