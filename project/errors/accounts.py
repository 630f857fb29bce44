"""Errors of accounts and sessions."""

from project.errors.base import ServiceError


class UserExists(ServiceError):
    """The e-mail address or the username belongs to another account."""

    status = 400
    code = "user_exists"
    message = "Sorry. That user already exists."


class EmailExists(UserExists):
    """The e-mail address belongs to another account.

    Only administrators, and users who have confirmed that they have the mailbox, get this error.
    """

    code = "email_exists"
    message = "Sorry. That email already exists."


class UserNotFound(ServiceError):
    """No account has this id."""

    status = 404
    code = "user_not_found"
    message = "User does not exist"


class SessionNotFound(ServiceError):
    """The caller has no open session of this id."""

    status = 404
    code = "session_not_found"
    message = "Session does not exist."


class RegistrationClosed(ServiceError):
    """Nobody can register, or only those who have an invitation."""

    status = 403
    code = "registration_closed"
    message = "Registration is closed."


class RefreshSuperseded(ServiceError):
    """The refresh token was replaced and reused too often; its session continues."""

    status = 409
    code = "refresh_superseded"
    message = "This refresh token was replaced. Use the current one."


class CodeInvalid(ServiceError):
    """A one-time code or link is wrong, used, expired or exhausted, without saying which."""

    status = 400
    code = "code_invalid"
    message = "That code is wrong or has expired."


class PasswordWrong(ServiceError):
    """The current password of the account is another one."""

    status = 403
    code = "password_wrong"
    message = "The current password is wrong."


class EmailUnverified(ServiceError):
    """The operation requires a verified address."""

    status = 403
    code = "email_unverified"
    message = "Verify your e-mail address first."


class LastAdmin(ServiceError):
    """The only active administrator cannot delete the account."""

    status = 409
    code = "last_admin"
    message = "You are the last administrator. Create another one first."
