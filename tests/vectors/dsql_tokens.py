"""Prints dsql_tokens.json, see botocore_tokens.py."""

from botocore_tokens import write

USERS = ["admin", "alice", "Admin", "a b"]
CLUSTERS = [
    ("abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws", 5432, "us-east-1"),
    ("zyxwvutsrqponmlkjihgfedcba.dsql.ap-northeast-2.on.aws", 5432, "ap-northeast-2"),
    ("127.0.0.1", 5432, "eu-west-1"),
]


def generate(client, endpoint, user):
    host, _, region = endpoint
    is_admin = user == "admin"
    generate = client.generate_db_connect_admin_auth_token if is_admin else client.generate_db_connect_auth_token
    return generate(Hostname=host, Region=region)


write("dsql", CLUSTERS, USERS, generate)
