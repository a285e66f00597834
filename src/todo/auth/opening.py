"""Tokens as the settings say: shared secrets, a key set, or both."""

from todo.auth.jwks import open_key_set
from todo.auth.tokens import Tokens, load_secret
from todo.settings import Settings


def open_tokens(settings: Settings, *, create: bool) -> Tokens:
    """Read the secrets and choose the key set.

    Beside a key set the secret is optional: where its file is absent, no token that is signed with
    a shared secret is accepted.

    Args:
        settings: The environment.
        create: Make a secret when there is none (outside of containers only).

    Raises:
        FatalError: A secret or a key set is missing, unreadable or not usable.
    """
    keys = open_key_set(settings)
    path = settings.token_secret_file
    absent = keys is not None and not create and not path.exists()
    previous_secret = None
    if settings.token_previous_secret_file is not None:
        option = "TODO_TOKEN_PREVIOUS_SECRET_FILE"
        file = settings.token_previous_secret_file
        previous_secret = load_secret(file, create=False, option=option)
    return Tokens(
        None if absent else load_secret(path, create=create),
        previous_secret=previous_secret,
        audience=settings.token_audience,
        issuer=settings.token_issuer,
        keys=keys,
    )
