"""Ways in which files are damaged, drawn with a seed."""


def damaged(content, draw, others=()):
    """Bytes with one to four faults.

    Args:
        content: the sound file.
        draw: a ``random.Random``.
        others: bytes that the format knows, which are put in at random places.
    """
    content = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        _FAULTS[draw.randrange(len(_FAULTS))](content, draw, others)
    return bytes(content)


def _place(content, draw):
    start = draw.randrange(len(content) + 1)
    return start, min(start + draw.choice([1, 1, 2, 4, 16, 300]), len(content))


def _cut(content, draw, others):
    del content[draw.randrange(len(content) + 1) :]


def _flip(content, draw, others):
    if content:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def _overwrite(content, draw, others):
    start, end = _place(content, draw)
    content[start:end] = draw.choice([draw.randbytes(end - start), b"\0" * (end - start), b"\xff" * (end - start)])


def _remove(content, draw, others):
    start, end = _place(content, draw)
    del content[start:end]


def _repeat(content, draw, others):
    start, end = _place(content, draw)
    content[start:start] = content[start:end] * draw.choice([1, 2, 50])


def _insert(content, draw, others):
    start, _ = _place(content, draw)
    content[start:start] = draw.choice([*others, draw.randbytes(8)])


def _replace(content, draw, others):
    if others:
        start, _ = _place(content, draw)
        new = draw.choice(list(others))
        content[start : start + len(new)] = new


_FAULTS = (_cut, _flip, _overwrite, _remove, _repeat, _insert, _replace)
