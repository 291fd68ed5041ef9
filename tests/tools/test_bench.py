"""A benchmark's last line becomes a table, and nothing else does."""

from datetime import date

import pytest

from tools.bench import Result, about, page, read_result, with_section


@pytest.mark.parametrize(
    ("output", "figures"),
    [
        pytest.param('warming up\n{"fps": 38.2}\n', {"fps": 38.2}, id="after other lines"),
        pytest.param("", None, id="nothing"),
        pytest.param('{"fps": 38.2}\ndone\n', None, id="not last"),
        pytest.param("[1, 2]\n", None, id="no object"),
    ],
)
def test_figures_stand_in_the_last_line(output: str, figures: dict[str, float] | None) -> None:
    result = read_result("tracking", about="", output=output)
    assert (result and result.figures) == figures


def test_the_page_holds_the_machine_and_a_table_for_each_benchmark() -> None:
    results = [
        Result(
            name="tracking",
            about="How well people are followed.\n\nHOTA is at best 1.",
            figures={
                "hota": 0.54321,
                "pets": {"ours": {"ids": 19}, "theirs": {"ids": 30, "cpu_ms": 0.5}, "other": None},
            },
        ),
        Result(name="exchange", about="", figures={"items_per_s": 12345.6, "durable": True}),
    ]
    written = page(results, machine={"memory": "24 GiB"}, on=date(2026, 1, 2))
    assert written.startswith("# Benchmarks\n\nMeasured on 2026-01-02 by `make bench`")
    assert written.endswith(
        "| machine |  |\n| --- | --- |\n| memory | 24 GiB |\n\n"
        "## exchange\n\n"
        "| figure | value |\n| --- | --- |\n| items per s | 12,346 |\n| durable | true |\n\n"
        "## tracking\n\nHow well people are followed.\n\nHOTA is at best 1.\n\n"
        "| figure | value |\n| --- | --- |\n| hota | 0.5432 |\n\n"
        "| pets | ids | cpu ms |\n| --- | --- | --- |\n| ours | 19 |  |\n| theirs | 30 | 0.5 |\n| other | absent |  |\n"
    )


@pytest.mark.parametrize("name", ["drain", "exchange", "tracking"])
def test_one_that_is_measured_by_itself_takes_its_own_place_on_the_page(name: str) -> None:
    def result(name: str, figure: int) -> Result:
        return Result(name=name, about=f"About {name}.", figures={"figure": figure})

    others = [result(other, 1) for other in ("exchange", "tracking")]
    before = page(others, machine={}, on=date(2026, 1, 2))
    after = with_section(before, result(name, 2), on=date(2026, 2, 3))
    whole = page([*(other for other in others if other.name != name), result(name, 2)], machine={}, on=date(2026, 1, 2))
    assert after == whole.replace(f"## {name}\n\n", f"## {name}\n\nMeasured by itself on 2026-02-03.\n\n")
    assert with_section(after, result(name, 2), on=date(2026, 2, 3)) == after


@pytest.mark.parametrize("name", ["exchange", "stages", "tracking"])
def test_a_benchmark_says_above_its_figures_what_they_are(name: str) -> None:
    assert about(name).count("\n\n") >= 1
