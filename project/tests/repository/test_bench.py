"""How the benchmark counts: what is no figure, medians, ratios, bars."""

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
    """Return a row of one figure, measured in so many rounds."""
    return measuring.row([{figure: value} for value in values])


@pytest.mark.any_database
class TestBench(TestCase):
    """The parts that need no server."""

    def test_wrk_is_read(self) -> None:
        self.assertEqual(wrk.parse(GOOD), Load(50, 2.0, 1.5, 9.0))

    def test_a_run_with_errors_is_no_figure(self) -> None:
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

    def test_a_refused_call_is_no_figure(self) -> None:
        call = Call("GET", "/auth/status", {})
        with self.assertRaises(Failed):
            load.check_success(call, load.Reply(302, {}, b"", 0.1))

    def test_a_request_on_the_wire_has_its_length(self) -> None:
        sent = load.raw(80, Call("POST", "/x", {"A": "b"}, b"\xc3\xa4"))
        head, body = sent.split(b"\r\n\r\n")
        self.assertEqual(head.split(b"\r\n")[0], b"POST /x HTTP/1.1")
        self.assertIn(b"Content-Length: 2", head)
        self.assertEqual(body, b"\xc3\xa4")
        self.assertNotIn(b"Content-Length", load.raw(80, Call("GET", "/x", {})))

    def test_what_others_used_is_told_apart(self) -> None:
        before = Usage(clock=0, server=10, database=5, ours=20, machine=100)
        after = Usage(clock=10, server=14, database=6, ours=26, machine=110)
        found = measuring.compute_measurement(Load(1000, 8.0, 1, 2), before, after)
        self.assertEqual((found.server_us, found.database_us), (4000, 1000))
        self.assertEqual((found.requests_a_second, found.server_cores), (125, 0.4))
        self.assertAlmostEqual(found.foreign * (psutil.cpu_count() or 1), 0.4)

    def test_a_measurement_beside_others_is_made_again_and_the_quietest_kept(self) -> None:
        shares = iter([0.5, 0.3, 0.4, 0.0])
        found = measuring.measure_quietly(lambda: {"foreign": next(shares)}, tries=3)
        self.assertEqual(found, {"foreign": 0.3})
        found = measuring.measure_quietly(lambda: {"foreign": next(shares)}, tries=3)
        self.assertEqual(found, {"foreign": 0.0})

    def test_contestants_are_measured_by_turns(self) -> None:
        asked: list[str] = []

        def work(name: str) -> Figures:
            asked.append(name)
            if name == "b":
                raise Failed("refused")
            return {"foreign": 0.0}

        works = {name: partial(work, name) for name in "abc"}
        rows, failures = measuring.measure_in_turn(works, Plan(rounds=2))
        self.assertEqual("".join(asked), "abcac")
        self.assertEqual((list(rows), failures), (["a", "c"], {"b": "refused"}))

    def test_a_ratio_is_the_median_of_the_rounds(self) -> None:
        known = Results(sections={"status": {"a": row(1, 20, 9), "b": row(1, 2, 3)}})
        self.assertEqual(known.ratio("status", "server_us", "a", "b"), 3)
        self.assertEqual(known.figure("status", "a", "server_us"), 9)
        self.assertIsNone(known.ratio("status", "server_us", "a", "nobody"))

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

    def test_what_was_not_measured_is_neither_reached_nor_missed(self) -> None:
        self.assertEqual({bar.outcome(Results()) for bar in BARS}, {Outcome.NOT_MEASURED})

    def test_an_others_cost_is_divided_by_ours(self) -> None:
        known = Results(sections={"status": {"users": row(100), "tutorial": row(350)}})
        bar = next(bar for bar in BARS if "`tutorial`" in bar.name)
        self.assertEqual((bar.figure(known), bar.outcome(known)), (3.5, Outcome.REACHED))

    def test_a_part_keeps_the_rows_of_others(self) -> None:
        known = Results()
        known.put("status", {"a": row(1), "b": row(1), "c": row(1)}, {})
        known.put("status", {"b": row(2)}, {"a": "refused"})
        self.assertEqual(list(known.sections["status"]), ["b", "c"])
        self.assertEqual(known.failures, {"status": {"a": "refused"}})
        known.put("status", {"a": row(3)}, {})
        self.assertEqual(known.failures, {"status": {}})

    def test_no_ratio_is_made_of_two_runs(self) -> None:
        known = Results()
        known.put("status", {"users": row(1), "tutorial": row(4)}, {})
        known.discard(["status", "storm"])
        known.put("status", {"users": row(2)}, {})
        self.assertIsNone(known.ratio("status", "server_us", "tutorial", "users"))

    def test_what_is_kept_is_read_again(self) -> None:
        known = Results({"cores": "2"}, {"a": {"Flask": "3"}})
        known.put("status", {"a": row(1, 2)}, {"b": "refused"})
        with TemporaryDirectory() as folder:
            results.save(known, Path(folder) / "results.json")
            self.assertEqual(results.load(Path(folder) / "results.json"), known)
            self.assertEqual(results.load(Path(folder) / "none.json"), Results())

    def test_the_page_says_who_is_better_who_is_missing_and_what_was_disturbed(self) -> None:
        ours, theirs = ({"server_us": cost, "foreign": 0.3} for cost in (100.0, 50.0))
        known = Results()
        rows = {"users": measuring.row([ours]), "tutorial": measuring.row([theirs])}
        known.put("status", rows, {"better-auth": "Traceback\nrefused"})
        text = page.render_chapter(known, chapters.CHAPTERS[0])
        self.assertLess(text.index("| `tutorial` | 0.50"), text.index("| `users` | 1.00"))
        self.assertIn("**30**", text)
        self.assertIn("- `better-auth`: refused", text)
        self.assertIn("**missed**", page.bar_table(known))

    def test_the_page_is_what_its_figures_say(self) -> None:
        self.assertEqual(page.FILE.read_text(), page.render(results.load()))
