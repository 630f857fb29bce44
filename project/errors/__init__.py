"""Every refusal of the service; those that only other services get are in `services`.

The family; each member has a status, a code and a message, and is raised where the fault is found:

    ServiceError
    ├── InvalidPayload          400 invalid_payload, with one entry in `errors` for each fault
    ├── BadRequest              400 bad_request
    ├── UserExists              400 user_exists
    │   └── EmailExists         400 email_exists
    ├── CodeInvalid             400 code_invalid
    ├── Unauthorized            401, with the challenge of RFC 6750
    │   ├── TokenMissing        401 token_missing
    │   │   └── LogoutTokenMissing  403 token_missing
    │   ├── TokenInvalid        401 token_invalid
    │   │   ├── TokenBlank      401 token_invalid: a header without a token
    │   │   └── SessionEnded    401 session_ended
    │   │       └── RefreshReused   401 refresh_reused
    │   ├── TokenExpired        401 token_expired
    │   ├── UserInactive        401 user_inactive
    │   └── NotPermitted        401 not_permitted
    ├── PasswordWrong           403 password_wrong
    ├── EmailUnverified         403 email_unverified
    ├── InvalidCredentials      404 invalid_credentials
    │   └── PasswordReplaced    404 invalid_credentials: changed while it was checked
    ├── UserNotFound            404 user_not_found
    ├── SessionNotFound         404 session_not_found
    ├── NotFound                404 not_found
    ├── RefreshSuperseded       409 refresh_superseded: the session goes on
    ├── MethodNotAllowed        405 method_not_allowed
    ├── PayloadTooLarge         413 payload_too_large
    ├── UnsupportedMediaType    415 unsupported_media_type
    ├── TooManyAttempts         429 rate_limited, with the time to wait
    ├── InternalError           500 internal_error: a fault of ours
    └── Unavailable             503 unavailable: the database does not answer
        ├── Overloaded          503 overloaded: too many passwords are being hashed
        └── NotReady            503 not_ready: told to a load balancer, by readiness.py
"""

from project.errors.accounts import (
    CodeInvalid,
    EmailExists,
    EmailUnverified,
    PasswordWrong,
    RefreshSuperseded,
    SessionNotFound,
    UserExists,
    UserNotFound,
)
from project.errors.authentication import (
    InvalidCredentials,
    LogoutTokenMissing,
    NotPermitted,
    PasswordReplaced,
    RefreshReused,
    SessionEnded,
    TokenBlank,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TooManyAttempts,
    Unauthorized,
    UserInactive,
)
from project.errors.availability import (
    OVERLOADED_RETRY_AFTER,
    Draining,
    InternalError,
    NotReady,
    Overloaded,
    SchemaBehind,
    SecretDiffers,
    Unavailable,
)
from project.errors.base import (
    REALM,
    ServiceError,
)
from project.errors.requests import (
    BadRequest,
    FieldError,
    InvalidPayload,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from project.errors.services import (
    ClientSecretInvalid,
    FormExpected,
    ServiceTokenInvalid,
)

__all__ = [
    "OVERLOADED_RETRY_AFTER",
    "REALM",
    "BadRequest",
    "ClientSecretInvalid",
    "CodeInvalid",
    "Draining",
    "EmailExists",
    "EmailUnverified",
    "FieldError",
    "FormExpected",
    "InternalError",
    "InvalidCredentials",
    "InvalidPayload",
    "LogoutTokenMissing",
    "MethodNotAllowed",
    "NotFound",
    "NotPermitted",
    "NotReady",
    "Overloaded",
    "PasswordReplaced",
    "PasswordWrong",
    "PayloadTooLarge",
    "RefreshReused",
    "RefreshSuperseded",
    "SchemaBehind",
    "SecretDiffers",
    "ServiceError",
    "ServiceTokenInvalid",
    "SessionEnded",
    "SessionNotFound",
    "TokenBlank",
    "TokenExpired",
    "TokenInvalid",
    "TokenMissing",
    "TooManyAttempts",
    "Unauthorized",
    "Unavailable",
    "UnsupportedMediaType",
    "UserExists",
    "UserInactive",
    "UserNotFound",
]
