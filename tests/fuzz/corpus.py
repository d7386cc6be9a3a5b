"""Writes tests/fuzz/corpus: recorded traffic of psql and PostgreSQL, answers of the RDS API, configurations.

    python3 tests/fuzz/corpus.py /usr/lib/postgresql/15/bin

Needs psql and the server programs; as root, PostgreSQL runs as the user nobody. Salts and keys differ from run to run.
"""

import json
import os
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

CORPUS = pathlib.Path(__file__).parent / "corpus"
SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSSENC_REQUEST = struct.pack("!II", 8, 80877104)
PASSWORD = "made-up"
SESSION_TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE%2F%2F%2F%2FwEaCXVzLWVhc3Qt" * 30


def write(target, name, data):
    path = CORPUS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def startup(minor=0, **parameters):
    pairs = b"".join(key.encode() + b"\0" + value.encode() + b"\0" for key, value in parameters.items())
    body = struct.pack("!HH", 3, minor) + pairs + b"\0"
    return struct.pack("!I", 4 + len(body)) + body


def cancel(key):
    return struct.pack("!III", 12 + len(key), 80877102, 4711) + key


def message(tag, body):
    return tag + struct.pack("!I", 4 + len(body)) + body


def client_hello(alpn):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(alpn)
    outgoing = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()


class Postgres:
    """A server on loopback with a role for each authentication method."""

    ROLES = {"by_scram": "scram-sha-256", "by_md5": "md5", "by_password": "password", "by_trust": "trust"}

    def __init__(self, programs):
        self.programs = pathlib.Path(programs)
        self.directory = pathlib.Path(tempfile.mkdtemp())
        os.chmod(self.directory, 0o777)
        self.data = self.directory / "data"
        self.as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self):
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust")
        rules = [f"host all {role} all {method}" for role, method in self.ROLES.items()]
        (self.data / "pg_hba.conf").write_text("\n".join([*rules, "host all postgres all trust", ""]))
        options = ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        self.server = subprocess.Popen(
            [*self.as_user, self.programs / "postgres", "-D", self.data, *options], stderr=subprocess.DEVNULL
        )
        roles = "".join(
            f"set password_encryption='{'md5' if role == 'by_md5' else 'scram-sha-256'}';"
            f"create role {role} login password '{PASSWORD}';"
            for role in self.ROLES
        )
        for _ in range(100):
            if psql(self.port, "postgres", "postgres", roles):
                return self
            time.sleep(0.1)
        raise SystemExit("PostgreSQL does not start")

    def run(self, program, *arguments):
        subprocess.run([*self.as_user, self.programs / program, *arguments], check=True, stdout=subprocess.DEVNULL)

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()
        shutil.rmtree(self.directory)


def psql(port, user, database, query="select 1"):
    target = f"host=127.0.0.1 port={port} user={user} dbname={database} sslmode=disable gssencmode=disable"
    environment = {**os.environ, "PGPASSWORD": PASSWORD}
    ended = subprocess.run(["psql", "-Xc", query, target], env=environment, capture_output=True)
    return ended.returncode == 0


def record(port, user, database):
    """Returns the bytes that psql sent and those that the server sent."""
    sent = [bytearray(), bytearray()]
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink, into):
        while data := source.recv(65536):
            into.extend(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)

    def relay():
        app, _ = listener.accept()
        hop = socket.create_connection(("127.0.0.1", port))
        other = threading.Thread(target=pump, args=(hop, app, sent[1]))
        other.start()
        pump(app, hop, sent[0])
        other.join()

    relaying = threading.Thread(target=relay)
    relaying.start()
    psql(listener.getsockname()[1], user, database)
    relaying.join()
    return [bytes(side) for side in sent]


def login_part(stream, is_last):
    """The length of the messages before the first whose tag satisfies `is_last`."""
    at = 0
    while at < len(stream) and not is_last(stream[at : at + 1]):
        at += 1 + struct.unpack_from("!I", stream, at + 1)[0]
    return at


def conversations(port):
    for user, database in [*((role, "postgres") for role in Postgres.ROLES), ("by_trust", "missing")]:
        name = user if database == "postgres" else "refused"
        sent, received = record(port, user, database)
        first = struct.unpack_from("!I", sent)[0]
        packet, answers = sent[:first], sent[first:]
        answers = answers[: login_part(answers, lambda tag: tag != b"p")]
        ready = login_part(received, lambda tag: tag == b"Z")
        received = received[: ready + 6]
        yield name, packet, answers, received


def aws():
    envelope = '<{0}Response xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><{0}Result>{1}</{0}Result>\
<ResponseMetadata><RequestId>7a62c49f-347e-4fc4-9331-6e8eEXAMPLE</RequestId></ResponseMetadata></{0}Response>'
    tags = "<TagList><Tag><Key>rds_proxy_enabled</Key><Value>true</Value></Tag><Tag><Key>rds-auth-proxy:local-port\
</Key><Value>54010</Value></Tag><Tag><Key>rds-auth-proxy:db-name</Key><Value>app</Value></Tag></TagList>"
    arn = "arn:aws:rds:us-east-1:123456789012"
    instance = f"<DBInstance><DBInstanceIdentifier>db-1</DBInstanceIdentifier><Engine>postgres</Engine>\
<DBInstanceStatus>available</DBInstanceStatus><DBName>app</DBName><Endpoint><Address>db-1.abc.us-east-1.rds.amazonaws.com\
</Address><Port>5432</Port></Endpoint><InstanceCreateTime>2024-01-02T03:04:05.678Z</InstanceCreateTime>\
<DBInstanceArn>{arn}:db:db-1</DBInstanceArn><IAMDatabaseAuthenticationEnabled>true</IAMDatabaseAuthenticationEnabled>\
{tags}</DBInstance>"
    creating = "<DBInstance><DBInstanceIdentifier>db-2</DBInstanceIdentifier><Engine>aurora-postgresql</Engine>\
<DBClusterIdentifier>orders</DBClusterIdentifier></DBInstance>"
    cluster = f"<DBCluster><DBClusterIdentifier>orders</DBClusterIdentifier><Engine>aurora-postgresql</Engine>\
<Port>5432</Port><DatabaseName>orders</DatabaseName><Endpoint>orders.cluster-abc.us-east-1.rds.amazonaws.com</Endpoint>\
<ReaderEndpoint>orders.cluster-ro-abc.us-east-1.rds.amazonaws.com</ReaderEndpoint><DBClusterArn>{arn}:cluster:orders\
</DBClusterArn><IAMDatabaseAuthenticationEnabled>true</IAMDatabaseAuthenticationEnabled>{tags}</DBCluster>"
    endpoint = "<DBClusterEndpointList><DBClusterIdentifier>orders</DBClusterIdentifier><DBClusterEndpointIdentifier>reports\
</DBClusterEndpointIdentifier><EndpointType>CUSTOM</EndpointType><Endpoint>reports.cluster-custom-abc.us-east-1.rds.\
amazonaws.com</Endpoint></DBClusterEndpointList>"

    def listed(action, plural, entries, marker=""):
        marker = marker and f"<Marker>{marker}</Marker>"
        return "200\n" + envelope.format(action, f"{marker}<{plural}>{entries}</{plural}>")

    clusters = listed("DescribeDBClusters", "DBClusters", cluster)
    endpoints = listed("DescribeDBClusterEndpoints", "DBClusterEndpoints", endpoint)

    proxy = "<member><DBProxyName>pool</DBProxyName><EngineFamily>POSTGRESQL</EngineFamily><Endpoint>pool.proxy-abc.us-east-1.\
rds.amazonaws.com</Endpoint><Auth><member><IAMAuth>REQUIRED</IAMAuth></member></Auth><DBProxyArn>arn:aws:rds:us-east-1:\
123456789012:db-proxy:prx-0</DBProxyArn></member>"
    readers = "<member><DBProxyEndpointName>readers</DBProxyEndpointName><DBProxyName>pool</DBProxyName><Endpoint>readers.\
endpoint.proxy-abc.us-east-1.rds.amazonaws.com</Endpoint><IsDefault>false</IsDefault></member>"
    target = "<member><RdsResourceId>db-1</RdsResourceId><TrackedClusterId>orders</TrackedClusterId></member>"
    proxies = [
        listed("DescribeDBProxies", "DBProxies", proxy),
        listed("DescribeDBProxyEndpoints", "DBProxyEndpoints", readers),
        listed("DescribeDBProxyTargets", "Targets", target),
        "200\n" + envelope.format("ListTagsForResource", tags),
    ]

    def instances(entries, marker=""):
        return listed("DescribeDBInstances", "DBInstances", entries, marker)

    def error(status, code, text):
        return f'{status}\n<ErrorResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><Error><Type>Sender</Type><Code>\
{code}</Code><Message>{text}</Message></Error><RequestId>7a62c49f</RequestId></ErrorResponse>'

    empty = listed("DescribeDBClusters", "DBClusters", "")
    yield "all", [instances(instance + creating), clusters, endpoints, *proxies]
    yield "one", [instances(instance), empty]
    yield "pages", [instances(instance, "p2"), clusters, endpoints, *proxies, instances(creating)]
    yield "endless", [instances(instance, "p2"), empty, endpoints]
    yield "none", [instances(""), empty]
    cluster_id = "ledger7890abcdefghijklmnop"
    cluster_arn = f"arn:aws:dsql:us-east-1:123456789012:cluster/{cluster_id}"
    clusters_of_dsql = json.dumps({"clusters": [{"identifier": cluster_id, "arn": cluster_arn}], "nextToken": None})
    cluster_of_dsql = json.dumps({"identifier": cluster_id, "arn": cluster_arn, "status": "ACTIVE", "creationTime": 1748600000.1,
                                  "deletionProtectionEnabled": True, "endpoint": f"{cluster_id}.dsql.us-east-1.on.aws",
                                  "tags": {"Name": "ledger", "rds-auth-proxy:local-port": "54001"}})
    one_page = [instances(instance), clusters, endpoints, *proxies]
    yield "dsql", [*one_page, *one_page, "200\n" + clusters_of_dsql, "200\n" + cluster_of_dsql]
    yield "nameless", [instances(instance.replace(">db-1</DBI", "></DBI")), empty]
    yield "denied", [error(403, "AccessDenied", "User: arn:aws:iam::123456789012:user/x is not authorized")]
    yield "expired", [error(403, "ExpiredToken", "The security token included in the request is expired")]
    yield "throttled", [error(400, "Throttling", "Rate exceeded")]
    yield "html", ["200\n<!DOCTYPE html><html><body>Please log in</body></html>"]
    yield "outage", ["503\nupstream connect error"]


def configurations():
    yield "empty", ""
    yield "server", "proxy:\n  listen_addr: 0.0.0.0:8000\n  ssl: {enabled: true}\n  target_acl:\n    allowed_rds_tags: \
[{name: rds_proxy_enabled, value: \"true\"}]\n    blocked_rds_tags:\n      - name: off\n        value: 0x10\n  admin_addr: \
127.0.0.1:9090\n  max_connections: 1000\n  max_connections_per_peer: 10\n  handshake_timeout: 15s\n  idle_timeout: 1h\n  \
drain_timeout: forever\n  shutdown_delay: 500ms\nrds:\n  regions: [us-east-1, eu-central-1]\n"
    yield "client", "upstream_proxies:\n  default:\n    host: ${fromEnv:HOST}:8000\n    ssl: {mode: verify-full}\n  \
pods:\n    port_forward: {context: dev, namespace: proxies, deployment: rds-auth-proxy, local_port: \"8000\", remote_port: \
8000}\ntargets:\n  in-cluster: {host: 'postgres:5432', database: app, local_port: 54000, ssl: {mode: disable}}\n"
    yield "secret", "targets:\n  a: {host: \"${fromEnv:SENSITIVE}\"}\n"
    yield "unknown", "proxy:\n  listen_adr: 127.0.0.1:1\n"
    yield "anchors", "targets:\n  a: &a\n    host: a:1\n  b:\n    <<: *a\n  c: *a\n"
    yield "twice", "rds: {enabled: true}\nrds: {enabled: false}\n"
    yield "wrong_type", "proxy: [1, 2]\nrds: !tag {enabled: ~}\n"
    yield "missing_file", "proxy:\n  ssl: {enabled: true, certificate: ~/none.pem, private_key: $HOME/none.key}\n"
    yield "documents", "---\nrds:\n  enabled: false\n---\nproxy: {}\n"


def packets():
    token = f"db-1.abc.us-east-1.rds.amazonaws.com:5432/?Action=connect&DBUser=alice&X-Amz-Security-Token={SESSION_TOKEN}"
    plain = startup(user="alice", database="app", application_name="psql", client_encoding="UTF8")
    yield "startup", plain
    yield "with_token", startup(2, user="alice", database="app", host="db-1.abc.us-east-1.rds.amazonaws.com:5432", password=token)
    yield "newest", startup(9999, user="alice", **{"_pq_.test_protocol_negotiation": ""})
    yield "cancel_parameter", startup(host="db-1:5432", **{"rds-auth-proxy.cancel": "4711:0011aabb"})
    yield "cancel", cancel(b"\0\x11\xaa\xbb")
    yield "long_cancel", cancel(bytes(range(256)))
    yield "ssl", SSL_REQUEST
    yield "gssenc", GSSENC_REQUEST


def proxy_headers():
    ipv4 = bytes([192, 0, 2, 7, 198, 51, 100, 9]) + struct.pack("!HH", 5432, 8000)
    ipv6 = bytes.fromhex("20010db8") + bytes(28) + struct.pack("!HH", 5432, 8000)
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    yield "tcp4", b"PROXY TCP4 192.0.2.7 198.51.100.9 5432 8000\r\n"
    yield "tcp6", b"PROXY TCP6 2001:db8::7 2001:db8::9 5432 8000\r\n"
    yield "unknown", b"PROXY UNKNOWN\r\n"
    yield "local", signature + b"\x20\0\0\0"
    for name, family, block in [("ipv4", 0x11, ipv4), ("ipv6", 0x21, ipv6), ("tlv", 0x11, ipv4 + b"\xea\0\4\1vpc")]:
        yield name, signature + struct.pack("!BBH", 0x21, family, len(block)) + block


def main():
    shutil.rmtree(CORPUS, ignore_errors=True)
    plain = startup(user="alice", database="app")
    for name, packet in packets():
        write("startup", name, packet)
        for flags, kind in [(0, "off"), (1, "on"), (0o63, "asked"), (0o75, "direct")]:
            write("negotiate", f"{name}_{kind}", bytes([flags]) + packet)
    write("negotiate", "all_requests", b"\0" + GSSENC_REQUEST + SSL_REQUEST + plain + b"behind")
    write("negotiate", "ssl_twice", b"\0" + SSL_REQUEST + SSL_REQUEST)
    write("negotiate", "injected", b"\x01" + SSL_REQUEST + plain)
    write("negotiate", "pipelined_hello", b"\x01" + SSL_REQUEST + client_hello(["postgresql"]))
    write("negotiate", "direct_hello", b"\x09" + client_hello(["postgresql"]))
    write("negotiate", "direct_hello_http", b"\x01" + client_hello(["h2"]))
    for name, header in proxy_headers():
        write("negotiate", f"proxy_{name}", b"\x41" + header + SSL_REQUEST + plain)
        write("negotiate", f"proxy_{name}_hello", b"\x41" + header + client_hello(["postgresql"]))
    write("negotiate", "proxy_asked", bytes([0o163]) + plain)
    write("negotiate", "proxy_direct", bytes([0o175]) + plain)
    write("negotiate", "http", b"\0GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    with Postgres(sys.argv[1]) as postgres:
        for name, packet, answers, received in conversations(postgres.port):
            write("startup", f"psql_{name}", packet)
            write("backend", name, received)
            write("login", f"{name}_relayed", b"\0" + struct.pack("!H", len(answers)) + answers + received)
            write("login", f"{name}_ours", b"\x01\0\0" + received)
    older = message(b"v", struct.pack("!HHI", 3, 0, 1) + b"_pq_.test_protocol_negotiation\0")
    notice = message(b"N", b"SNOTICE\0VNOTICE\0C00000\0Mwelcome\0\0")
    cleartext = message(b"R", struct.pack("!I", 3))
    plus = message(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
    refused = message(b"E", b"SFATAL\0VFATAL\0C28000\0MPAM authentication failed\0\0")
    write("backend", "negotiated", older + plus + notice)
    write("backend", "long_key", message(b"K", struct.pack("!I", 4711) + bytes(range(1, 33))))
    for flags in (0, 1):
        answer = message(b"p", SESSION_TOKEN.encode() + b"\0")
        head = bytes([flags]) + struct.pack("!H", len(answer)) + answer
        write("login", f"iam_refused_{flags}", head + older + cleartext + refused)
        write("login", f"plus_{flags}", head + plus + notice)

    for name, answers in aws():
        write("aws", name, "\n----\n".join(answers))
    for name, text in configurations():
        write("config", name, text)


if __name__ == "__main__":
    main()
