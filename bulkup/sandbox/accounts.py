"""Users, sessions with their tokens, API keys, and permissions of the Community plugin."""

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class User:
    """A user; `status` is webmaster, admin, normal or guest."""

    id: int
    name: str
    password: str
    status: str

    @property
    def is_admin(self) -> bool:
        """Whether the user may call the methods for administrators."""
        return self.status in {"webmaster", "admin"}


GUEST = User(2, "guest", "", "guest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A permission that the Community plugin grants, by default to all registered users.

    Without `album` it is for the whole gallery. `create` permits new albums below. Photos are
    `moderated` if administrators have to approve them. The quotas `photos` and `megabytes` are for
    all albums together, 0 for no limit.
    """

    user: str | None = None
    album: int | None = None
    recursive: bool = True
    create: bool = False
    moderated: bool = True
    photos: int = 0
    megabytes: int = 0


@dataclass(slots=True)
class Session:
    """The session of a cookie."""

    user: User
    connected_with: str
    used_at: float


@dataclass(slots=True)
class ApiKey:
    """An API key."""

    pkid: str
    secret: str
    user: User
    name: str
    duration: int
    created_on: str
    expired_on: str
    revoked: bool = False


class Accounts:
    """The users of a gallery with their sessions and keys; `users` maps names to passwords."""

    def __init__(
        self,
        *,
        admin: tuple[str, str],
        users: Mapping[str, str],
        session_length_s: float,
        clock: Callable[[], float],
    ) -> None:
        self.users = {admin[0]: User(1, *admin, "webmaster")}
        for number, (name, password) in enumerate(users.items(), start=3):
            self.users[name] = User(number, name, password, "normal")
        self.sessions: dict[tuple[str, str], Session] = {}
        self.keys: dict[str, ApiKey] = {}
        self._secret = secrets.token_bytes(16)
        self._session_length_s = session_length_s
        self._clock = clock

    def session(self, sid: str, *, address: str) -> Session | None:
        """Return the session of a cookie, unless it has expired, and renew it."""
        session = self.sessions.get((_network(address), sid))
        if session is None or self._clock() - session.used_at > self._session_length_s:
            return None
        session.used_at = self._clock()
        return session

    def new_sid(self) -> str:
        """Return a new id for a cookie; only a log-in opens a session."""
        return _letters(26)

    def token(self, sid: str) -> str:
        """Return the pwg_token, which depends on the session id alone."""
        return hmac.new(self._secret, sid.encode(), "md5").hexdigest()

    def log_in(
        self, name: str, password: str, *, old_sid: str, address: str, by: str
    ) -> str | None:
        """Open a session in place of the old one; return None for a wrong name or password."""
        user = self.users.get(name)
        if key := self.key(f"{name}:{password}"):
            user, by = key.user, f"{by}_api_key" if by == "ws_session_login" else by
        elif user is None or not password or user.password != password:
            return None
        self.log_out(old_sid, address=address)
        sid = self.new_sid()
        self.sessions[_network(address), sid] = Session(user, by, self._clock())
        return sid

    def log_out(self, sid: str, *, address: str) -> None:
        """End a session."""
        self.sessions.pop((_network(address), sid), None)

    def key(self, credentials: str) -> ApiKey | None:
        """Return the valid key for `pkid:secret`, or None."""
        pkid, _, secret = credentials.partition(":")
        key = self.keys.get(pkid)
        return key if key and key.secret == secret and not key.revoked else None

    def make_key(
        self, user: User, *, name: str, duration: int, created_on: str, expired_on: str
    ) -> ApiKey:
        """Issue a key."""
        pkid = f"pkid-{created_on[:10].replace('-', '')}-{_letters(20)}"
        key = ApiKey(pkid, _letters(40), user, name, duration, created_on, expired_on)
        self.keys[pkid] = key
        return key


def _letters(count: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(count))


def _network(address: str) -> str:
    """Return what a session is bound to: the first two numbers of an IPv4 address."""
    return ".".join(address.split(".")[:2]) if "." in address else ""
