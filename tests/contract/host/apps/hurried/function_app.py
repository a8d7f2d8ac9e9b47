"""An app with little time and no route prefix."""

import time

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="endless")
def endless(req: func.HttpRequest) -> str:
    time.sleep(60)
    return "never"


@app.route(route="quick")
async def quick(req: func.HttpRequest) -> str:
    return "quick"
