"""The users' routes."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from project.tests.base import BaseTestCase

NOT_PERMITTED = "You do not have permission to do that."
NEW_USER = {"username": "new", "email": "New@example.com", "password": "test"}
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


class TestUsersBlueprint(BaseTestCase):
    """A list for administrators only."""

    def setUp(self) -> None:
        super().setUp()
        self.admin_id = self.add_user("admin", "admin@example.com", admin=True)
        self.admin = self.add_token(self.admin_id)
        self.michael_id = self.add_user(created_at=YESTERDAY)
        self.michael = self.add_token(self.michael_id)

    def test_users_are_listed_for_administrators_newest_first(self) -> None:
        data = self.assert_success(self.caller.get("/users", self.admin), 200)["data"]
        self.assertEqual([user["username"] for user in data["users"]], ["admin", "michael"])
        self.assertEqual(data["next"], None)
        self.assertEqual(
            sorted(data["users"][0]), ["active", "admin", "created_at", "email", "id", "username"]
        )

    def test_users_are_listed_for_nobody_else(self) -> None:
        self.assert_error(
            self.caller.get("/users"), 401, "Provide a valid auth token.", "token_missing"
        )
        reply = self.caller.get("/users", self.michael)
        self.assert_error(reply, 401, NOT_PERMITTED, "not_permitted")
        self.assertIn('error="insufficient_scope"', reply.headers["WWW-Authenticate"])

    def test_pages_hold_every_user_once_also_at_equal_times(self) -> None:
        for number in range(5):
            self.add_user(f"user{number}", f"user{number}@example.com", created_at=YESTERDAY)
        pages, query = [], "?limit=3"
        while query:
            data = self.caller.get(f"/users{query}", self.admin).body["data"]
            pages.append([user["username"] for user in data["users"]])
            query = data["next"] and f"?limit=3&after={data['next']}"
        self.assertEqual(
            pages, [["admin", "user4", "user3"], ["user2", "user1", "user0"], ["michael"]]
        )

    def test_a_page_that_ends_with_the_list_is_the_last_one(self) -> None:
        data = self.caller.get("/users?limit=2", self.admin).body["data"]
        self.assertEqual((len(data["users"]), data["next"]), (2, None))

    def test_a_page_has_fifty_users_where_nothing_is_asked_for(self) -> None:
        for number in range(50):
            self.add_user(f"user{number}", f"user{number}@example.com")
        data = self.caller.get("/users", self.admin).body["data"]
        self.assertEqual(len(data["users"]), 50)
        self.assertIsNotNone(data["next"])

    def test_a_page_that_cannot_be_is_refused(self) -> None:
        for query, field, code in (
            ("limit=0", "limit", "out_of_range"),
            ("limit=201", "limit", "out_of_range"),
            ("limit=x", "limit", "wrong_type"),
            ("limit=99999999999999999999", "limit", "out_of_range"),
            (f"limit={'9' * 5000}", "limit", "out_of_range"),
            ("after=x", "after", "invalid_cursor"),
            ("after=1-99999999999", "after", "invalid_cursor"),
            ("after=", "after", "invalid_cursor"),
            ("after=1-2147483648", "after", "invalid_cursor"),
        ):
            with self.subTest(query):
                self.assert_field_errors(
                    self.caller.get(f"/users?{query}", self.admin), (field, code)
                )

    def test_an_unknown_parameter_is_an_error(self) -> None:
        for query, names in (("page=2", ["page"]), ("limit=1&offset=5&x", ["offset", "x"])):
            reply = self.caller.get(f"/users?{query}", self.admin)
            self.assert_field_errors(reply, *((name, "unknown_parameter") for name in names))

    def test_of_many_unknown_parameters_the_first_ones_are_named(self) -> None:
        query = "&".join(f"x{number}" for number in range(500))
        reply = self.caller.get(f"/users?{query}", self.admin)
        self.assertEqual(len(reply.body["errors"]), 20)

    def test_one_user_is_shown_to_that_user_and_to_administrators(self) -> None:
        for token in (self.michael, self.admin):
            body = self.assert_success(self.caller.get(f"/users/{self.michael_id}", token), 200)
            self.assertEqual(body["data"]["username"], "michael")
            self.assertEqual(body["data"]["email"], "michael@example.com")

    def test_one_user_is_not_shown_to_another_nor_that_there_is_none(self) -> None:
        for user_id in (self.admin_id, 2**31 - 1):
            reply = self.caller.get(f"/users/{user_id}", self.michael)
            self.assert_error(reply, 401, NOT_PERMITTED, "not_permitted")

    def test_an_unknown_user_is_not_found(self) -> None:
        for user_id in (
            "999999",
            "blah",
            "0",
            "-1",
            "1e3",
            "2147483648",
            "9" * 50,
            "١",
            "%00",
            "1 ",
        ):
            with self.subTest(user_id):
                reply = self.caller.get(f"/users/{user_id}", self.admin)
                self.assert_error(reply, 404, "User does not exist", "user_not_found")

    def test_an_administrator_adds_a_user(self) -> None:
        reply = self.caller.post("/users", NEW_USER, self.admin)
        created = self.assert_success(reply, 201, "New@example.com was added!")["data"]
        self.assertEqual((created["username"], created["email"]), ("new", "New@example.com"))
        shown = self.caller.get(f"/users/{created['id']}", self.admin).body["data"]
        self.assertEqual(shown["username"], "new")
        self.assertEqual(self.caller.login("new@example.com", "test").status, 200)

    def test_nobody_else_adds_a_user(self) -> None:
        reply = self.caller.post("/users", NEW_USER, self.michael)
        self.assert_error(reply, 401, NOT_PERMITTED, "not_permitted")
        reply = self.caller.post("/users", NEW_USER)
        self.assert_error(reply, 401, "Provide a valid auth token.", "token_missing")
        self.assertEqual(self.caller.login("new@example.com", "test").status, 404)

    def test_adding_a_taken_email_says_so_also_where_the_username_is_taken(self) -> None:
        for username in ("new", "michael"):
            payload = NEW_USER | {"username": username, "email": "michael@example.com"}
            reply = self.caller.post("/users", payload, self.admin)
            self.assert_error(reply, 400, "Sorry. That email already exists.", "email_exists")

    def test_adding_a_taken_username_says_so(self) -> None:
        payload = NEW_USER | {"username": "MICHAEL"}
        reply = self.caller.post("/users", payload, self.admin)
        self.assert_error(reply, 400, "Sorry. That user already exists.", "user_exists")

    def test_adding_a_user_needs_every_field(self) -> None:
        self.assert_field_errors(self.caller.post("/users", {}, self.admin), *(
            (field, "missing") for field in ("username", "email", "password")
        ))  # fmt: skip


class TestPublicUsers(BaseTestCase):
    """A public list, as the old browser client needs it."""

    overrides: ClassVar = {"USERS_PUBLIC": True}

    def test_the_whole_list_is_answered_to_everybody(self) -> None:
        for number in range(60):
            self.add_user(f"user{number}", f"user{number}@example.com")
        data = self.assert_success(self.caller.get("/users"), 200)["data"]
        self.assertEqual(
            [user["username"] for user in data["users"]], [f"user{n}" for n in reversed(range(60))]
        )
        self.assertIsNone(data["next"])

    def test_a_page_is_answered_to_who_asks_for_one(self) -> None:
        for number in range(3):
            self.add_user(f"user{number}", f"user{number}@example.com")
        data = self.caller.get("/users?limit=2").body["data"]
        self.assertEqual([user["username"] for user in data["users"]], ["user2", "user1"])
        rest = self.caller.get(f"/users?after={data['next']}").body["data"]
        self.assertEqual([user["username"] for user in rest["users"]], ["user0"])

    def test_one_user_is_shown_to_everybody(self) -> None:
        self.assertEqual(self.caller.get(f"/users/{self.add_user()}").status, 200)
        reply = self.caller.get("/users/999999")
        self.assert_error(reply, 404, "User does not exist", "user_not_found")

    def test_adding_a_user_still_takes_an_administrator(self) -> None:
        reply = self.caller.post("/users", NEW_USER)
        self.assert_error(reply, 401, "Provide a valid auth token.", "token_missing")
