"""Translation of the library's errors, which name arguments, into errors that name settings."""

from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import InstantiationException
from omegaconf import DictConfig

from gat_lightning.config.constructors import origin_of
from gat_lightning.config.messages import explain, full_key, is_for_user
from gat_lightning.errors import SettingError, UserError


@contextmanager
def naming(config: DictConfig, path: str) -> Iterator[None]:
    """Let a refusal raised in the block name the setting that the user has to change.

    An argument ``eps`` of the node ``validation.attack`` is the setting ``validation.attack.eps``, or the one that this
    takes its value from, such as ``data.eps``.

    Args:
        config: the whole configuration.
        path: the node whose object is constructed or used in the block.

    Raises:
        UserError: in place of an error of the constructor or of a refusal by the object.
    """
    try:
        yield
    except (InstantiationException, ValueError, TypeError, ArithmeticError, ImportError) as error:
        where: str = path
        cause: BaseException = error
        if isinstance(error, InstantiationException):
            if not is_for_user(error):
                raise
            cause, inner = error.__cause__ or error, full_key(error)
            if inner:
                where = inner if inner.startswith(path) else f"{path}.{inner}"
        if isinstance(cause, SettingError):
            raise UserError(cause.spelled(origin_of(config, f"{where}.{cause.name}"), "null")) from error
        message = explain(cause)
        raise UserError(message if isinstance(cause, UserError) else f"{where}: {message}") from error
