"""A Kubernetes API that answers from a table, for what the chart looks up in the cluster."""

import contextlib
import http.server
import json
import threading

VERSION = {"/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"}}


@contextlib.contextmanager
def serve(answers: dict[str, dict]):
    """Yields the URL. `answers`: path without query → object; every other path is 404."""
    answers = VERSION | answers

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers.get(self.path.split("?")[0])
            body = json.dumps(answer or {"kind": "Status", "status": "Failure", "code": 404}).encode()
            self.send_response(200 if answer else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def options(url: str) -> list[str]:
    """The options with which helm uses this API."""
    return ["--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", url]
