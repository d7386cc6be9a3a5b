"""Writes dsql_tokens.json: tokens for Aurora DSQL that botocore signs at fixed times with invented keys.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install botocore
    /tmp/venv/bin/python tests/vectors/dsql_tokens.py > tests/vectors/dsql_tokens.json

The source is `generate_db_connect_admin_auth_token` for the user admin, else `generate_db_connect_auth_token`.
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
USERS = ["admin", "alice", "Admin", "a b"]
CLUSTERS = [
    ("abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws", "us-east-1"),
    ("zyxwvutsrqponmlkjihgfedcba.dsql.ap-northeast-2.on.aws", "ap-northeast-2"),
    ("127.0.0.1", "eu-west-1"),
]
TIMES = [
    datetime.datetime(2024, 2, 29, 23, 59, 58, tzinfo=datetime.timezone.utc),
    datetime.datetime(2031, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
]


def sign(host, region, user, session_token, now):
    client = botocore.session.Session().create_client(
        "dsql",
        region_name=region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        aws_session_token=session_token,
    )
    is_admin = user == "admin"
    generate = client.generate_db_connect_admin_auth_token if is_admin else client.generate_db_connect_auth_token
    with mock.patch("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: now.replace(tzinfo=None)):
        token = generate(Hostname=host, Region=region)
    return {
        "host": host,
        "port": 5432,
        "region": region,
        "user": user,
        "session_token": session_token,
        "unix_time": int(now.timestamp()),
        "token": token,
    }


def main():
    vectors = [
        sign(host, region, user, session_token, TIMES[index % 2])
        for index, (host, region) in enumerate(CLUSTERS)
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
