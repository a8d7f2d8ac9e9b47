"""The function app: registers the doors. Wrong settings stop it here, with every problem in one error."""

import azure.functions as func

from functions import alerts, events, operations, timers, worker
from keeper import wiring

wiring.settings()

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
for door in (timers, alerts, events, operations, worker):
    app.register_functions(door.bp)
