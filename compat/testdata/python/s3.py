"""Serves moto's S3 until standard input ends.

Out: {"endpoint": "http://127.0.0.1:PORT", "id": "...", "secret": "..."}, a key that may do everything on S3.
POST /moto-api/reset-auth with the body 0 makes moto check signatures and policies from then on.
"""

import json
import signal
import sys

import boto3
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

signal.signal(signal.SIGINT, signal.SIG_IGN)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
endpoint = "http://%s:%d" % server.get_host_and_port()

iam = boto3.client("iam", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any")
iam.create_user(UserName="importer")
policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
iam.put_user_policy(UserName="importer", PolicyName="s3", PolicyDocument=json.dumps(policy))
key = iam.create_access_key(UserName="importer")["AccessKey"]
print(json.dumps({"endpoint": endpoint, "id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}), flush=True)
sys.stdin.read()
