"""Writes rds_tokens.json: IAM tokens that botocore signs at fixed times with invented keys.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install botocore
    /tmp/venv/bin/python tests/vectors/rds_tokens.py > tests/vectors/rds_tokens.json
"""

import datetime
import json
import sys
from unittest import mock

import botocore
import botocore.session

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SESSION_TOKENS = [None, "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3Qt+MSJHMEUCIQ==" * 12]
USERS = ["alice", "a b", "a+b&c%d#e", "日本", "o'neil", "x@y.com", "-._~", "a/b?c=d:e;f,g", 'q"<>\\^`{|}', ""]
ENDPOINTS = [
    ("db-1.abcdefghijkl.us-east-1.rds.amazonaws.com", 5432, "us-east-1"),
    ("prod.cluster-ro-abcdefghijkl.eu-central-1.rds.amazonaws.com", 6543, "eu-central-1"),
    ("db-2.abcdefghijkl.rds.cn-north-1.amazonaws.com.cn", 443, "cn-north-1"),
    ("127.0.0.1", 40123, "ap-southeast-2"),
]
TIMES = [
    datetime.datetime(2024, 2, 29, 23, 59, 58, tzinfo=datetime.timezone.utc),
    datetime.datetime(2031, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
]


def sign(host, port, region, user, session_token, now):
    client = botocore.session.Session().create_client(
        "rds",
        region_name=region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        aws_session_token=session_token,
    )
    with mock.patch("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: now.replace(tzinfo=None)):
        token = client.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user, Region=region)
    return {
        "host": host,
        "port": port,
        "region": region,
        "user": user,
        "session_token": session_token,
        "unix_time": int(now.timestamp()),
        "token": token,
    }


def main():
    vectors = [
        sign(host, port, region, user, session_token, TIMES[index % 2])
        for index, (host, port, region) in enumerate(ENDPOINTS)
        for user in USERS
        for session_token in SESSION_TOKENS
    ]
    document = {
        "made_with": f"botocore {botocore.__version__}",
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "vectors": vectors,
    }
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    print()


main()
