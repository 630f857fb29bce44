"""The baseline: a Flask app with one route, which returns a constant of the size of a status.

After https://flask.palletsprojects.com/en/stable/quickstart/. Its arguments are a port and a number
of workers. It is served with the options of this service.
"""

import sys

from flask import Flask, Response, jsonify

from project.serving import server

app = Flask(__name__)


@app.get("/")
def get_constant() -> Response:
    """Return a constant of the size of a status."""
    return jsonify(
        status="success",
        admin=False,
        data={
            "id": 1,
            "username": "ada",
            "email": "ada@example.com",
            "active": True,
            "admin": False,
            "created_at": "2026-01-01T00:00:00Z",
        },
    )


if __name__ == "__main__":
    port, workers = sys.argv[1:]
    app.config.from_mapping(STRICT=True, CLIENT_TIMEOUT_SECONDS=15, DRAIN_SECONDS=0)
    server.serve(lambda: app, app.config, "127.0.0.1", int(port), int(workers))
