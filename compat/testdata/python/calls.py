"""Answers one AWS call per line of standard input, with boto3.

In:  {"target": {...}, "service": "cloudfront", "operation": "ListKeyValueStores", "parameters": {...}}
Out: {"output": {...}}, or {"error": {"code": "...", "status": 409, "message": "...", "class": "..."}},
     or {"fault": "..."} when boto3 itself refuses

A target is {"port": 8080, "key": {"id": "...", "secret": "...", "token": ""}, "plain": false, "way": ""}:
"plain" signs the data plane with plain SigV4, which needs no awscrt, and "way" is how to get past the
account label that boto3 puts in front of the data plane's host.
"""

import base64
import datetime
import json
import os
import re
import socket
import sys

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

DATA_PLANE = "cloudfront-keyvaluestore"


plain_getaddrinfo = socket.getaddrinfo


def resolve_labels(host, *arguments, **options):
    """Resolves *.localhost, as systemd-resolved or a hosts line would."""
    if isinstance(host, str) and host.endswith(".localhost"):
        host = "127.0.0.1"
    return plain_getaddrinfo(host, *arguments, **options)


def strip_label(request, **_):
    request.url = re.sub(r"//\d{12}\.", "//", request.url)


def client(service, target):
    server = f"localhost:{target['port']}"
    way = target["way"]
    options = {"retries": {"total_max_attempts": 1}}
    if service == DATA_PLANE and target["plain"]:
        options["signature_version"] = "v4"
    endpoint = f"http://{server}"
    if service == DATA_PLANE and way == "":
        # The label lands in the user part of the URL, so no name has to resolve.
        endpoint = f"http://kvs@{server}"
    if way == "proxies":
        options["proxies"] = {"http": f"http://{server}"}
    if way in ("HTTP_PROXY", "http_proxy"):
        os.environ[way] = f"http://{server}"
    if service == DATA_PLANE and way == "AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE":
        os.environ[way] = f"http://kvs@{server}"
        endpoint = None
    made = boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        config=Config(**options),
        aws_access_key_id=target["key"]["id"],
        aws_secret_access_key=target["key"]["secret"],
        aws_session_token=target["key"]["token"] or None,
    )
    os.environ.pop(way, None)
    if way == "before-sign":
        made.meta.events.register(f"before-sign.{DATA_PLANE}", strip_label)
    return made


def plainly(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "read"):
        return base64.b64encode(value.read()).decode()
    raise TypeError(type(value))


def answer(call):
    id = json.dumps([call["service"], call["target"]])
    if id not in clients:
        clients[id] = client(call["service"], call["target"])
    socket.getaddrinfo = resolve_labels if call["target"]["way"] == "label" else plain_getaddrinfo
    parameters = call["parameters"]
    for name in ("FunctionCode", "EventObject"):
        if name in parameters:
            parameters[name] = base64.b64decode(parameters[name])
    try:
        output = getattr(clients[id], xform_name(call["operation"]))(**parameters)
    except ClientError as e:
        return {
            "error": {
                "code": e.response["Error"]["Code"],
                "status": e.response["ResponseMetadata"]["HTTPStatusCode"],
                "message": e.response["Error"].get("Message", ""),
                "class": type(e).__name__,
            }
        }
    output.pop("ResponseMetadata", None)
    return {"output": output}


clients = {}
for line in sys.stdin:
    try:
        text = json.dumps(answer(json.loads(line)), default=plainly)
    except Exception as e:
        text = json.dumps({"fault": repr(e)})
    print(text, flush=True)
