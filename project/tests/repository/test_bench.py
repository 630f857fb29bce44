"""The computations of the benchmark: invalid measurements, medians, ratios and bars."""

from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase

import psutil
import pytest

from bench import chapters, load, measuring, oracle, page, results, wrk
from bench.bars import BARS, Bar, Direction, Outcome
from bench.contestants import Call
from bench.load import Failed, Load
from bench.measuring import Plan, Usage
from bench.results import Figures, Results, Row

GOOD = "Running 1s test\n" + (
    '{"requests": 50, "microseconds": 2000000, "p50": 1500, "p99": 9000, "status": 0, "broken": 0}'
)


def row(*values: float, figure: str = "server_us") -> Row:
    """Return a row of one figure, with a value for each round."""
    return measuring.row([{figure: value} for value in values])


@pytest.mark.any_database
class TestBench(TestCase):
    """The parts of the benchmark that need no server."""

    def test_the_output_of_wrk_is_parsed(self) -> None:
        self.assertEqual(wrk.parse(GOOD), Load(50, 2.0, 1.5, 9.0))

    def test_a_run_with_errors_is_invalid(self) -> None:
        for broken in ('"status": 1', '"broken": 1', '"requests": 0'):
            name = broken.split(":")[0]
            with self.subTest(broken), self.assertRaises(Failed):
                wrk.parse(GOOD.replace(f"{name}: {'50' if 'requests' in name else '0'}", broken))
        with self.assertRaises(Failed):
            wrk.parse("unable to connect")

    def test_the_oracle_is_a_difference_of_responses_or_medians(self) -> None:
        self.assertEqual(oracle.distance([1, 2, 3], [3, 2, 1]), 0)
        self.assertEqual(oracle.distance([1, 2], [3, 4]), 1)

        def made(body: bytes, seconds: float) -> list[tuple[str, load.Reply]]:
            slow = ("known", load.Reply(202, {"a": "b"}, body, seconds))
            return [slow, *((kind, load.Reply(202, {"a": "b"}, b"", 0.1)) for kind in oracle.KINDS)]

        request_id = b'"request_id":"' + b"A" * 43 + b'"'
        with redirect_stdout(StringIO()):
            self.assertTrue(oracle.report("accepts", made(request_id, 0.1)))
            self.assertFalse(oracle.report("accepts", made(b"x", 0.1)))
            self.assertFalse(oracle.report("accepts", made(request_id, 0.3)))

    def test_an_unsuccessful_response_is_invalid(self) -> None:
        call = Call("GET", "/auth/status", {})
        with self.assertRaises(Failed):
            load.check_success(call, load.Reply(302, {}, b"", 0.1))

    def test_a_raw_request_has_the_length_of_its_body(self) -> None:
        sent = load.raw(80, Call("POST", "/x", {"A": "b"}, b"\xc3\xa4"))
        head, body = sent.split(b"\r\n\r\n")
        self.assertEqual(head.split(b"\r\n")[0], b"POST /x HTTP/1.1")
        self.assertIn(b"Content-Length: 2", head)
        self.assertEqual(body, b"\xc3\xa4")
        self.assertNotIn(b"Content-Length", load.raw(80, Call("GET", "/x", {})))

    def test_foreign_load_is_separated_from_the_cost(self) -> None:
        before = Usage(clock=0, server=10, database=5, ours=20, machine=100)
        after = Usage(clock=10, server=14, database=6, ours=26, machine=110)
        found = measuring.compute_measurement(Load(1000, 8.0, 1, 2), before, after)
        self.assertEqual((found.server_us, found.database_us), (4000, 1000))
        self.assertEqual((found.requests_a_second, found.server_cores), (125, 0.4))
        self.assertAlmostEqual(found.foreign * (psutil.cpu_count() or 1), 0.4)

    def test_a_disturbed_measurement_is_repeated_and_the_quietest_counts(self) -> None:
        shares = iter([0.5, 0.3, 0.4, 0.0])
        found = measuring.measure_quietly(lambda: {"foreign": next(shares)}, tries=3)
        self.assertEqual(found, {"foreign": 0.3})
        found = measuring.measure_quietly(lambda: {"foreign": next(shares)}, tries=3)
        self.assertEqual(found, {"foreign": 0.0})

    def test_contestants_are_measured_in_turn(self) -> None:
        measured: list[str] = []

        def work(name: str) -> Figures:
            measured.append(name)
            if name == "b":
                raise Failed("rejected")
            return {"foreign": 0.0}

        works = {name: partial(work, name) for name in "abc"}
        rows, failures = measuring.measure_in_turn(works, Plan(rounds=2))
        self.assertEqual("".join(measured), "abcac")
        self.assertEqual((list(rows), failures), (["a", "c"], {"b": "rejected"}))

    def test_a_ratio_is_the_median_of_the_rounds_ratios(self) -> None:
        known = Results(sections={"status": {"a": row(1, 20, 9), "b": row(1, 2, 3)}})
        self.assertEqual(known.ratio("status", "server_us", "a", "b"), 3)
        self.assertEqual(known.figure("status", "a", "server_us"), 9)
        self.assertIsNone(known.ratio("status", "server_us", "a", "missing"))

    def test_a_bar_is_reached_at_its_limit(self) -> None:
        for direction, value, outcome in (
            (Direction.AT_LEAST, 3.0, Outcome.REACHED),
            (Direction.AT_LEAST, 2.9, Outcome.MISSED),
            (Direction.AT_MOST, 3.0, Outcome.REACHED),
            (Direction.AT_MOST, 3.1, Outcome.MISSED),
        ):
            bar = Bar(
                "bar",
                partial(Results.figure, section="a", name="a", figure="server_us"),
                direction,
                3,
            )
            known = Results(sections={"a": {"a": row(value)}})
            self.assertIs(bar.outcome(known), outcome)

    def test_a_bar_without_a_figure_is_not_measured(self) -> None:
        self.assertEqual({bar.outcome(Results()) for bar in BARS}, {Outcome.NOT_MEASURED})

    def test_the_cost_of_another_contestant_is_divided_by_ours(self) -> None:
        known = Results(sections={"status": {"users": row(100), "tutorial": row(350)}})
        bar = next(bar for bar in BARS if "`tutorial`" in bar.name)
        self.assertEqual((bar.figure(known), bar.outcome(known)), (3.5, Outcome.REACHED))

    def test_new_rows_replace_only_rows_of_the_same_contestants(self) -> None:
        known = Results()
        known.put("status", {"a": row(1), "b": row(1), "c": row(1)}, {})
        known.put("status", {"b": row(2)}, {"a": "rejected"})
        self.assertEqual(list(known.sections["status"]), ["b", "c"])
        self.assertEqual(known.failures, {"status": {"a": "rejected"}})
        known.put("status", {"a": row(3)}, {})
        self.assertEqual(known.failures, {"status": {}})

    def test_ratios_do_not_mix_two_runs(self) -> None:
        known = Results()
        known.put("status", {"users": row(1), "tutorial": row(4)}, {})
        known.discard(["status", "storm"])
        known.put("status", {"users": row(2)}, {})
        self.assertIsNone(known.ratio("status", "server_us", "tutorial", "users"))

    def test_stored_results_can_be_loaded(self) -> None:
        known = Results({"cores": "2"}, {"a": {"Flask": "3"}})
        known.put("status", {"a": row(1, 2)}, {"b": "rejected"})
        with TemporaryDirectory() as folder:
            results.save(known, Path(folder) / "results.json")
            self.assertEqual(results.load(Path(folder) / "results.json"), known)
            self.assertEqual(results.load(Path(folder) / "none.json"), Results())

    def test_a_chapter_has_the_order_the_foreign_load_and_the_missing_rows(self) -> None:
        ours, theirs = ({"server_us": cost, "foreign": 0.3} for cost in (100.0, 50.0))
        known = Results()
        rows = {"users": measuring.row([ours]), "tutorial": measuring.row([theirs])}
        known.put("status", rows, {"better-auth": "Traceback\nrejected"})
        text = page.render_chapter(known, chapters.CHAPTERS[0])
        self.assertLess(text.index("| `tutorial` | 0.50"), text.index("| `users` | 1.00"))
        self.assertIn("**30**", text)
        self.assertIn("- `better-auth`: rejected", text)
        self.assertIn("**missed**", page.bar_table(known))

    def test_the_page_matches_the_stored_results(self) -> None:
        self.assertEqual(page.FILE.read_text(), page.render(results.load()))
