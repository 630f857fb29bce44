"""Rate limits."""

from datetime import timedelta

from project.security.rate_limit import Limit
from project.settings.parsers import (
    boolean,
    duration,
    limit,
)
from project.settings.setting import Setting

LIMITS = (
    Setting("THROTTLE_ENABLED", boolean, True,
        "Whether attempts are counted; off is for load tests."),
    Setting("THROTTLE_ACCOUNT_NETWORK", limit, Limit(5, timedelta(minutes=15)),
        "How many logins of one network at one account may fail, and in what time, before each has "
        "to wait."),
    Setting("THROTTLE_NETWORK", limit, Limit(300, timedelta(minutes=15)),
        "The same of one network at all accounts; half as many again of an IPv6 /56."),
    Setting("THROTTLE_ACCOUNT", limit, Limit(100, timedelta(days=1)),
        "The same of all networks at one account; those that have logged in to it before do not "
        "count and are let in."),
    Setting("THROTTLE_DEVICE", limit, Limit(5, timedelta(minutes=15)),
        "The same of one device token; such logins count under no other limit of failures."),
    Setting("THROTTLE_LOGINS", limit, Limit(600, timedelta(minutes=15)),
        "How many logins of one network (of IPv6: one /48), and in what time, whether they succeed "
        "or not; with a device token: of one account."),
    Setting("THROTTLE_REGISTRATION", limit, Limit(300, timedelta(minutes=15)),
        "How many registrations of one network, and in what time, before each has to wait; half as "
        "many again of an IPv6 /48."),
    Setting("THROTTLE_WRITES", limit, Limit(300, timedelta(minutes=15)),
        "How many refreshes, endings of sessions and other changes of one account, and in what "
        "time."),
    Setting("THROTTLE_INITIAL_BACKOFF", duration, timedelta(seconds=30),
        "How long the first wait is beyond a limit; each is twice the one before."),
    Setting("THROTTLE_MAX_BACKOFF", duration, timedelta(hours=1),
        "How long a wait is at the most; no door is shut for good."),
)  # fmt: skip
