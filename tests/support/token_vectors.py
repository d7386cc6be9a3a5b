"""Writes token_vectors.json: IAM tokens that botocore, the reference, signs at a fixed time.

    python3 -m venv v && v/bin/pip install botocore && v/bin/python tests/support/token_vectors.py
"""

import datetime
import json
import pathlib
from unittest import mock

import botocore
import botocore.session

SIGNED = datetime.datetime(2026, 3, 1, 12, 30, 45)
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
STATIC = {"access_key": "AKIAIOSFODNN7EXAMPLE", "secret": SECRET, "session_token": None}
SESSION_TOKEN = "IQoJb3JpZ2luX2VjE+/" + "".join(chr(65 + i % 26) for i in range(300)) + "=="
SESSION = {"access_key": "ASIAIOSFODNN7EXAMPLE", "secret": SECRET, "session_token": SESSION_TOKEN}
DATABASE = {"host": "db-1.abcdefghijkl.us-east-1.rds.amazonaws.com", "port": 5432, "region": "us-east-1"}
USERS = ["alice", "a b", "a+b&c%d#e", "日本", "O'Hara/x?y=z", "~tilde.dash-under_", "50%25"]


def sign(vector):
    session = botocore.session.Session()
    session.set_credentials(vector["access_key"], vector["secret"], vector["session_token"])
    client = session.create_client("rds", region_name=vector["region"])
    with mock.patch("botocore.auth.get_current_datetime", lambda *a, **k: SIGNED):
        return client.generate_db_auth_token(vector["host"], vector["port"], vector["user"])


vectors = [{**STATIC, **DATABASE, "user": user} for user in USERS]
vectors += [
    {**SESSION, "host": "db-1.abcdefghijkl.eu-west-1.rds.amazonaws.com", "port": 5433, "region": "eu-west-1", "user": "alice"},
    {**SESSION, "host": "localhost", "port": 54321, "region": "us-gov-west-1", "user": "a b"},
]
for vector in vectors:
    vector["token"] = sign(vector)
answer = {"botocore": botocore.__version__, "signed": SIGNED.strftime("%Y%m%dT%H%M%SZ"), "vectors": vectors}
path = pathlib.Path(__file__).with_name("token_vectors.json")
path.write_text(json.dumps(answer, ensure_ascii=False, indent=1) + "\n")
