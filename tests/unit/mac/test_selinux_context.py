"""Contexts and categories: each container's are its own, and read back as they were written."""

from hypothesis import given
from hypothesis import strategies as st

from virtsec.mac.selinux.category import PAIRS, choose_pair, pair_at, taken_pairs
from virtsec.mac.selinux.context import categories_of, label_of, type_of, types_of


def test_the_articles_three_types() -> None:
    assert types_of("vs1").all() == ("vs1_t", "vs1_exec_t", "vs1_file_t")


def test_a_label_says_type_and_categories() -> None:
    label = label_of("vs1", (3, 700))
    assert label.process == "system_u:system_r:vs1_t:s0:c3,c700"
    assert label.file == "system_u:object_r:vs1_file_t:s0:c3,c700"
    assert label.init == "system_u:object_r:vs1_exec_t:s0:c3,c700"
    assert type_of(label.process) == "vs1_t"
    assert categories_of(label.process) == {3, 700}


def test_categories_are_those_of_the_high_level() -> None:
    assert categories_of("u:r:t:s0-s0:c1,c5.c7") == {1, 5, 6, 7}
    assert categories_of("u:r:t:s0") == set()
    assert categories_of("no context") == set()
    assert len(categories_of("u:r:t:s0-s0:c0.c1023")) == 1024


def test_every_pair_has_one_number() -> None:
    pairs = [pair_at(index) for index in range(PAIRS)]
    assert len(set(pairs)) == PAIRS
    assert all(0 <= low < high < 1024 for low, high in pairs)


@given(st.lists(st.integers(0, PAIRS - 1), max_size=50), st.text("abc", min_size=1, max_size=5))
def test_a_chosen_pair_is_nobody_elses(taken: list[int], name: str) -> None:
    contexts = [label_of("x", pair_at(index)).process for index in taken]
    pairs = taken_pairs(contexts)
    assert choose_pair(name, pairs) not in pairs


def test_the_same_name_gets_another_pair_where_its_first_is_taken() -> None:
    first = choose_pair("vs1", [])
    assert choose_pair("vs1", []) == first
    assert choose_pair("vs1", taken_pairs([label_of("other", first).process])) != first


def test_a_process_with_more_categories_takes_each_pair_of_them() -> None:
    assert taken_pairs(["u:r:t:s0:c1,c2,c3"]) == {(1, 2), (1, 3), (2, 3)}
    assert taken_pairs(["u:r:t:s0-s0:c0.c1023"]) == set()


PARTS = st.sampled_from(
    [":", "s0", "c1", ",", ".", "-", "c1023", "c1024", "c٣", "u", "t", " ", "\n"]
)


@given(st.one_of(st.text(), st.lists(PARTS, max_size=16).map("".join)))
def test_any_text_is_a_context_or_none(text: str) -> None:
    """A type is read where there is one, and categories only of those that there are."""
    found, categories = type_of(text), categories_of(text)
    assert all(0 <= each < 1024 for each in categories)
    if found is None:
        assert not categories
    else:
        assert text.split(":")[2] == found
