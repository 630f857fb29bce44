"""The floor: a Flask app with one route, which answers a constant of the size of our status.

After https://flask.palletsprojects.com/en/stable/quickstart/. Run with a port and a number of
workers, it serves with the options of our service.
"""

import sys

from flask import Flask, Response, jsonify

from project.serving import server

app = Flask(__name__)


@app.get("/")
def show_constant() -> Response:
    """Answer who one is, without looking."""
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
