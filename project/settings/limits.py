"""Settings of the rate limits."""

from datetime import timedelta

from project.security.rate_limit import Limit
from project.settings.parsers import boolean, duration, limit
from project.settings.setting import Setting

LIMITS = (
    Setting("THROTTLE_ENABLED", boolean, True,
        "Enable rate limiting; disable it for load tests only."),
    Setting("THROTTLE_ACCOUNT_NETWORK", limit, Limit(5, timedelta(minutes=15)),
        "Failed logins per account and network before backoff, as `attempts/window`."),
    Setting("THROTTLE_NETWORK", limit, Limit(300, timedelta(minutes=15)),
        "Failed logins per network, over all accounts, before backoff, as `attempts/window`; the "
        "limit of an IPv6 /56 is 1.5 times as high."),
    Setting("THROTTLE_ACCOUNT", limit, Limit(100, timedelta(days=1)),
        "Failed logins per account, over all networks, before backoff, as `attempts/window`; "
        "networks with a previous successful login to the account are exempt."),
    Setting("THROTTLE_DEVICE", limit, Limit(5, timedelta(minutes=15)),
        "Failed logins per device token before backoff, as `attempts/window`; no other limit on "
        "failed logins counts them."),
    Setting("THROTTLE_LOGINS", limit, Limit(600, timedelta(minutes=15)),
        "Logins, successful or not, per network (IPv6: per /48), as `attempts/window`; logins "
        "with a device token are counted per account instead."),
    Setting("THROTTLE_REGISTRATION", limit, Limit(300, timedelta(minutes=15)),
        "Registrations per network before backoff, as `attempts/window`; the limit of an IPv6 "
        "/48 is 1.5 times as high."),
    Setting("THROTTLE_WRITES", limit, Limit(300, timedelta(minutes=15)),
        "Refreshes, ended sessions and other changes per user, as `attempts/window`."),
    Setting("THROTTLE_INITIAL_BACKOFF", duration, timedelta(seconds=30),
        "First backoff after a limit is reached; it doubles with each further attempt."),
    Setting("THROTTLE_MAX_BACKOFF", duration, timedelta(hours=1),
        "Maximum backoff; at most `1d`."),
)  # fmt: skip
