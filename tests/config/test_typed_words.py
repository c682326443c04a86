"""What is typed in any order and with any letters is what Hydra reads, or gets one message."""

import pytest
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from hypothesis import given
from hypothesis import strategies as st

from gat_lightning.config.messages import explain
from gat_lightning.config.typed_words import as_override, readable, with_output
from gat_lightning.errors import UserError

FLAGS = [["--multirun"], ["-m"], ["--cfg", "job"], ["-c", "hydra"], ["--resolve"], ["--package", "optimizer"], ["-h"],
         ["--config-dir", "a=b"], ["--info", "all"]]  # fmt: skip


@pytest.mark.parametrize("own", ["output", "paths.output"])
def test_what_a_command_writes_has_two_spellings(own):
    words = ["output=a=b", "task=none", "paths.output=c", "-m", "outputs=d"]
    assert with_output(words, own) == [f"{own}=a=b", "task=none", f"{own}=c", "-m", "outputs=d"]


@given(st.lists(st.sampled_from(["task=none", "seed=0,1", "~callbacks.best", "+trainer.max_steps=3"])), st.data())
def test_options_may_stand_anywhere(overrides, data):
    chosen = data.draw(st.lists(st.sampled_from(FLAGS), unique_by=lambda flag: flag[0].lstrip("-")[0]))
    groups = [[word] for word in overrides]
    for flag in chosen:
        groups.insert(data.draw(st.integers(0, len(groups))), flag)
    read = get_args_parser().parse_args(readable([word for group in groups for word in group]))
    plain = get_args_parser().parse_args([word for flag in chosen for word in flag])
    assert read.overrides == overrides
    plain.overrides = overrides
    assert read == plain


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task=none", "--multirunn"], "There is no option --multirunn: groups and settings have no dashes, multirunn"),
        (["-x", "task=none"], "There is no option -x"),
        (["task=none", "--cfg"], "Argument --cfg/-c: expected one argument. See --hydra-help."),
        (["--cfg", "wrong"], "Argument --cfg/-c: invalid choice: 'wrong'"),
        (["name=\udcf6"], r"'name=\\udcf6' is not in UTF-8"),
    ],
)
def test_what_is_no_option_or_no_text_gets_one_message(words, message):
    with pytest.raises(UserError, match=message):
        readable(words)


LETTERS = st.text(st.characters(blacklist_characters="\"'\\{}[](),\0", blacklist_categories=["Cs", "Cc"]), min_size=1)


@given(LETTERS.map(str.strip).filter(lambda text: text and not text.isascii()))
def test_any_letters_are_text(value):
    (parsed,) = OverridesParser.create().parse_overrides([as_override(f"data.root={value}")])
    assert (parsed.key_or_group, parsed.value()) == ("data.root", value)


def test_each_value_of_a_sweep_keeps_its_type():
    (parsed,) = OverridesParser.create().parse_overrides([as_override("name=1,größe,a,/daten/Röntgen bild")])
    assert list(parsed.sweep_string_iterator()) == ["1", '"größe"', "a", '"/daten/Röntgen bild"']


@pytest.mark.parametrize(
    "word", ["task=none", "name='größe'", 'name="größe"', "pretraining=['name=\"größe\"']", "größe", "data.eps=8/255"]
)
def test_what_needs_no_quotes_stays(word):
    assert as_override(word) == word


@pytest.mark.parametrize("word", ["name=[größe]", "+größe=1", "größe", "name={a: größe}"])
def test_what_cannot_be_read_names_the_letter_and_the_quotes(word):
    with pytest.raises(OverrideParseException) as refused:
        OverridesParser.create().parse_overrides([as_override(word)])
    text = explain(refused.value)
    assert text.startswith(f"'{word}' cannot be read: outside quotes Hydra knows no 'ö'.")
    assert "'data.root=\"/daten/Röntgen\"'" in text
