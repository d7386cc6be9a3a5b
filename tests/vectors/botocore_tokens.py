"""IAM tokens that botocore signs at fixed times with invented keys. `rds_tokens.py` and `dsql_tokens.py` print them.

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
TIMES = [
    datetime.datetime(2024, 2, 29, 23, 59, 58, tzinfo=datetime.timezone.utc),
    datetime.datetime(2031, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
]


def vector(service, generate, endpoint, user, session_token, now):
    host, port, region = endpoint
    client = botocore.session.Session().create_client(
        service,
        region_name=region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        aws_session_token=session_token,
    )
    with mock.patch("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: now.replace(tzinfo=None)):
        token = generate(client, endpoint, user)
    return {
        "host": host,
        "port": port,
        "region": region,
        "user": user,
        "session_token": session_token,
        "unix_time": int(now.timestamp()),
        "token": token,
    }


def write(service, endpoints, users, generate):
    """Prints a token for each endpoint (host, port, region), user and session token. `generate(client, endpoint, user)` makes it."""
    vectors = [
        vector(service, generate, endpoint, user, session_token, TIMES[index % 2])
        for index, endpoint in enumerate(endpoints)
        for user in users
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
