"""Answers one AWS call per line of standard input, with boto3.

In:  {"service": "cloudfront", "operation": "ListKeyValueStores", "parameters": {...}}
Out: {"output": {...}} or {"error": {"code": "...", "status": 409, "message": "..."}}

Credentials come from the environment, the server from POPKV_COMPAT_PORT, and
POPKV_COMPAT_SIGNATURE=v4 signs with plain SigV4, which needs no awscrt.
"""

import base64
import datetime
import json
import os
import sys

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

port = os.environ["POPKV_COMPAT_PORT"]
plain = os.environ.get("POPKV_COMPAT_SIGNATURE") == "v4"


def client(service):
    options = {"retries": {"total_max_attempts": 1}}
    if service == "cloudfront-keyvaluestore" and plain:
        options["signature_version"] = "v4"
    # The account label that the SDK puts in front lands in the user part of
    # the URL, so no name has to resolve.
    endpoint = f"http://kvs@localhost:{port}" if service == "cloudfront-keyvaluestore" else f"http://localhost:{port}"
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", config=Config(**options))


def plainly(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "read"):
        return base64.b64encode(value.read()).decode()
    raise TypeError(type(value))


clients = {}
for line in sys.stdin:
    call = json.loads(line)
    service = call["service"]
    if service not in clients:
        clients[service] = client(service)
    parameters = call["parameters"]
    for name in ("FunctionCode", "EventObject"):
        if name in parameters:
            parameters[name] = base64.b64decode(parameters[name])
    try:
        output = getattr(clients[service], xform_name(call["operation"]))(**parameters)
        output.pop("ResponseMetadata", None)
        answer = {"output": output}
    except ClientError as e:
        answer = {
            "error": {
                "code": e.response["Error"]["Code"],
                "status": e.response["ResponseMetadata"]["HTTPStatusCode"],
                "message": e.response["Error"].get("Message", ""),
                "class": type(e).__name__,
            }
        }
    print(json.dumps(answer, default=plainly), flush=True)
