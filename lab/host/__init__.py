"""A small Azure Functions host: runs the real app on the pinned runtime, with its triggers driven here."""

from lab.host.host import FunctionsHost
from lab.host.journal import Invocation, LogLine
from lab.host.keys import EasyAuth, Keys
from lab.host.model import HostError, Outcome, Result, Trigger

__all__ = ["EasyAuth", "FunctionsHost", "HostError", "Invocation", "Keys", "LogLine", "Outcome", "Result", "Trigger"]
