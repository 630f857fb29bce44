"""What can become of an attempt to deliver a message; sending one without raising is success.

    DeliveryError
    ├── TransportDown   nothing can be sent now: the message waits as if it had not been tried
    ├── Deferred        this message cannot be sent now: it is tried again later
    └── Rejected        this message can never be sent

`accounts.messages.Skipped` belongs to them: the message is not to be sent.
"""


class DeliveryError(Exception):
    """A message was not delivered; the text is the stage and the code, and holds no address."""

    def __init__(self, stage: str, reason: str, code: int = 0) -> None:
        super().__init__(f"{stage} {reason}")
        self.stage = stage
        self.reason = reason
        self.code_class = f"{code // 100}xx" if code else "error"


class TransportDown(DeliveryError):
    """The transport failed before it came to the recipient."""


class Deferred(DeliveryError):
    """The recipient's server asks to try again later, or its response is unknown."""


class Rejected(DeliveryError):
    """The recipient's server will never accept this message."""

    def __init__(self, stage: str, reason: str, code: int = 0, enhanced: str = "") -> None:
        super().__init__(stage, reason, code)
        self.is_bad_mailbox = stage == "rcpt" and enhanced in BAD_MAILBOX


BAD_MAILBOX = {"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"}
"""The codes that are about the recipient's address (RFC 3463, section 3.2; RFC 7505); 5.1.7 and
5.1.8 are about the sender's."""
