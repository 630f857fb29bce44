"""The errors of the service. Each has a status, a code and a message.

Any function may raise one; `project/http/error_handler.py` turns it into the response.

    ServiceError
    ├── InvalidPayload              400 invalid_payload, with a list of field errors
    ├── BadRequest                  400 bad_request
    ├── UserExists                  400 user_exists
    │   └── EmailExists             400 email_exists
    ├── CodeInvalid                 400 code_invalid
    ├── Unauthorized                401, with a challenge in `WWW-Authenticate`
    │   ├── TokenMissing            401 token_missing
    │   │   └── LogoutTokenMissing  403 token_missing
    │   ├── TokenInvalid            401 token_invalid
    │   │   ├── TokenBlank          401 token_invalid
    │   │   └── SessionEnded        401 session_ended
    │   │       └── RefreshReused   401 refresh_reused
    │   ├── TokenExpired            401 token_expired
    │   ├── UserInactive            401 user_inactive
    │   ├── NotPermitted            401 not_permitted
    │   ├── ReauthenticationRequired 401 reauthentication_required
    │   └── ServiceTokenInvalid     401 service_token_invalid
    │       └── ClientSecretInvalid 401 service_token_invalid
    ├── PasswordWrong               403 password_wrong
    ├── EmailUnverified             403 email_unverified
    ├── RegistrationClosed          403 registration_closed
    ├── InvalidCredentials          404 invalid_credentials
    │   └── PasswordReplaced        404 invalid_credentials
    ├── UserNotFound                404 user_not_found
    ├── SessionNotFound             404 session_not_found
    ├── NotFound                    404 not_found
    ├── MethodNotAllowed            405 method_not_allowed
    ├── RefreshSuperseded           409 refresh_superseded
    ├── LastAdmin                   409 last_admin
    ├── PayloadTooLarge             413 payload_too_large
    ├── UnsupportedMediaType        415 unsupported_media_type
    │   └── FormExpected            415 unsupported_media_type
    ├── TooManyAttempts             429 rate_limited
    ├── InternalError               500 internal_error
    └── Unavailable                 503 unavailable
        ├── Overloaded              503 overloaded
        │   └── TooManyTransfers    503 overloaded
        └── NotReady                503 not_ready
            ├── SchemaBehind        503 not_ready
            ├── SecretDiffers       503 not_ready
            └── Draining            503 not_ready
"""

from project.errors.accounts import (
    CodeInvalid,
    EmailExists,
    EmailUnverified,
    LastAdmin,
    PasswordWrong,
    RefreshSuperseded,
    RegistrationClosed,
    SessionNotFound,
    UserExists,
    UserNotFound,
)
from project.errors.authentication import (
    InvalidCredentials,
    LogoutTokenMissing,
    NotPermitted,
    PasswordReplaced,
    ReauthenticationRequired,
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
    TooManyTransfers,
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
    "LastAdmin",
    "LogoutTokenMissing",
    "MethodNotAllowed",
    "NotFound",
    "NotPermitted",
    "NotReady",
    "Overloaded",
    "PasswordReplaced",
    "PasswordWrong",
    "PayloadTooLarge",
    "ReauthenticationRequired",
    "RefreshReused",
    "RefreshSuperseded",
    "RegistrationClosed",
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
    "TooManyTransfers",
    "Unauthorized",
    "Unavailable",
    "UnsupportedMediaType",
    "UserExists",
    "UserInactive",
    "UserNotFound",
]
