"""An app that takes one message at a time and waits before it tries again."""

import time

import azure.functions as func

app = func.FunctionApp()


@app.queue_trigger(arg_name="message", queue_name="%WORK_QUEUE%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    text = message.get_body().decode()
    if text.startswith("fail"):
        raise ValueError(text)
    time.sleep(0.1)
