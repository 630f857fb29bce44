"""The errors of a delivery attempt; an attempt that raises none has succeeded.

    DeliveryError
    ├── TransportDown   no message can be sent now: the attempt is not counted
    ├── Deferred        this message cannot be sent now: it is retried later
    └── Rejected        this message can never be sent

`accounts.messages.Skipped` is the fourth case: the message should not be sent.
"""


class DeliveryError(Exception):
    """A message was not delivered; the text has the stage and the code, but no address."""

    def __init__(self, stage: str, reason: str, code: int = 0) -> None:
        super().__init__(f"{stage} {reason}")
        self.stage = stage
        self.reason = reason
        self.code_class = f"{code // 100}xx" if code else "error"


class TransportDown(DeliveryError):
    """The transport failed before the recipient was sent to the server."""


class Deferred(DeliveryError):
    """The server temporarily rejected the message, or its response is unknown."""


class Rejected(DeliveryError):
    """The server permanently rejected the message."""

    def __init__(self, stage: str, reason: str, code: int = 0, enhanced: str = "") -> None:
        super().__init__(stage, reason, code)
        self.is_bad_mailbox = stage == "rcpt" and enhanced in BAD_MAILBOX


BAD_MAILBOX = {"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"}
"""Status codes for a bad recipient address (RFC 3463, section 3.2; RFC 7505); 5.1.7 and 5.1.8
concern the sender's address."""
