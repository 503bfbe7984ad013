"""The first step: the address of the gallery, and the account, tested by signing in."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from anyio import to_thread
from multidict import MultiMapping

from bulkup.app.credentials import check_api_key, find, keep
from bulkup.app.gallery import checked_url, log_in
from bulkup.app.settings import Account
from bulkup.errors import UsageError
from bulkup.gui.draft import Draft
from bulkup.gui.session import Session
from bulkup.gui.step import Step, Visit


class Gallery(Step):
    """Which gallery, and as whom."""

    name = "gallery"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._job = session.job()

    @property
    def done(self) -> bool:
        """Whether the gallery has accepted the account."""
        return self.session.account is not None

    async def open(self) -> None:
        """Sign in with the secret that the key ring has, if any."""
        account = self.session.draft.account
        if account.url and (secret := await to_thread.run_sync(find, account.url, account.user)):
            self._job.start(partial(self._sign_in, _with(account, secret)))

    @property
    def running(self) -> bool:
        """Whether it signs in by itself."""
        return self._job.running

    async def _sign_in(self, account: Account) -> None:
        await self.session.sign_in(account, await log_in(account))

    async def values(self, visit: Visit) -> Mapping[str, object]:
        """Return what stands in the fields: what was typed, or else what was saved."""
        saved = self.session.draft.account
        texts = {
            "url": saved.url,
            "user": saved.user,
            "http_user": saved.http_user,
            "proxy": saved.proxy if "@" not in saved.proxy else "",
            "ca_cert": str(saved.ca_cert or ""),
        }
        return {
            "fields": texts | {name: visit.form[name] for name in texts if name in visit.form},
            "by_key": visit.form.get("kind") == "key" or bool(saved.url and not saved.user),
            "insecure": "insecure" in visit.form if visit.form else saved.insecure,
            "failure": self._job.error,
            "has_key_ring": find_spec("keyring") is not None,
        }

    async def save(self, visit: Visit) -> str:
        """Sign in, and keep the secret in the key ring if asked to."""
        account = await to_thread.run_sync(self._account, visit.form)
        self._job.cancel()
        offer = await log_in(account)
        if "keep" in visit.form:
            secret = account.api_key or account.password
            await to_thread.run_sync(keep, account.url, account.user, secret)
        await self.session.sign_in(account, offer)
        return "/checkup"

    def arguments(self) -> Sequence[str]:
        """Return the arguments that sign in, and keep the secret in the key ring."""
        account = self.session.draft.account
        return Draft(account=account).arguments("login") if account.url else ()

    def _account(self, form: MultiMapping[str]) -> Account:
        """Return the account of a form, with its secret. Raises `UsageError`."""
        by_key = form.get("kind") == "key"
        saved, known = self.session.draft.account, self.session.account
        certificate = form.get("ca_cert", "").strip()
        account = Account(
            url=form.get("url", "").strip(),
            user="" if by_key else form.get("user", "").strip(),
            ca_cert=Path(certificate).expanduser() if certificate else None,
            insecure="insecure" in form,
            client_cert=saved.client_cert,
            client_key=saved.client_key,
            http_user=form.get("http_user", "").strip(),
            http_password=form.get("http_password", ""),
            proxy=form.get("proxy", "").strip(),
        )
        if not account.url:
            raise UsageError("the address of the gallery is missing", hint=ADDRESS_HINT)
        account = replace(account, url=checked_url(account))
        if not by_key and not account.user:
            raise UsageError("the user name is missing", hint=USER_HINT)
        same = known and (known.url, known.user) == (account.url, account.user)
        if known and same and known.http_user == account.http_user and not account.http_password:
            account = replace(account, http_password=known.http_password)
        typed = check_api_key(form.get("api_key", "").strip()) if by_key else form.get("password")
        secret = typed or find(account.url, account.user)
        if known and same and not secret:
            secret = known.api_key or known.password
        if not secret:
            what = "API key" if by_key else "password"
            raise UsageError(f"the {what} is missing", hint="Type it: the key ring has none.")
        return _with(account, secret)


def _with(account: Account, secret: str) -> Account:
    """Return an account with its password, or with its API key if it has no user."""
    key = "" if account.user else secret
    return replace(account, api_key=key, password="" if key else secret)


ADDRESS_HINT = "Give the address of its home page, like https://photos.example.org/."
USER_HINT = "Give the name of an administrator, or sign in with an API key."
