"""Prints rds_tokens.json, see botocore_tokens.py."""

from botocore_tokens import write

USERS = ["alice", "a b", "a+b&c%d#e", "日本", "o'neil", "x@y.com", "-._~", "a/b?c=d:e;f,g", 'q"<>\\^`{|}', ""]
ENDPOINTS = [
    ("db-1.abcdefghijkl.us-east-1.rds.amazonaws.com", 5432, "us-east-1"),
    ("prod.cluster-ro-abcdefghijkl.eu-central-1.rds.amazonaws.com", 6543, "eu-central-1"),
    ("db-2.abcdefghijkl.rds.cn-north-1.amazonaws.com.cn", 443, "cn-north-1"),
    ("127.0.0.1", 40123, "ap-southeast-2"),
]


def generate(client, endpoint, user):
    host, port, region = endpoint
    return client.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user, Region=region)


write("rds", ENDPOINTS, USERS, generate)
