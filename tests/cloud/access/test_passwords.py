import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr

from cloud.access.passwords import Passwords, check_password
from cloud.errors import Busy, Invalid
from tests.support.processes import until

GOOD = SecretStr("correct horse battery")


def test_a_password_is_kept_as_argon2id_of_64_mib_and_never_the_same_twice() -> None:
    passwords = Passwords()
    first, second = passwords.hash(GOOD), passwords.hash(GOOD)
    assert first != second
    assert first.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.matches(GOOD, first)
    assert not passwords.matches(SecretStr("correct horse batterz"), first)
    assert not passwords.is_outdated(first)


def test_one_password_typed_on_two_keyboards_is_one(passwords: Passwords) -> None:
    stored = passwords.hash(SecretStr("zwölf Boxkämpfer"))
    assert passwords.matches(SecretStr("zwo\u0308lf Boxka\u0308mpfer"), stored)


def test_what_is_no_hash_is_matched_by_nothing(passwords: Passwords) -> None:
    for stored in (None, "", "$argon2id$nonsense", "plain text"):
        assert not passwords.matches(SecretStr(stored or ""), stored)


def test_who_does_not_exist_takes_as_long_as_who_does() -> None:
    passwords = Passwords(PasswordHasher(time_cost=2, memory_cost=8192, parallelism=1))
    stored = passwords.hash(GOOD)
    passwords.matches(GOOD, None)

    def seconds(hash_: str | None) -> float:
        began = time.process_time()
        passwords.matches(SecretStr("wrong horse battery"), hash_)
        return time.process_time() - began

    known, unknown = (statistics.median(seconds(one) for _ in range(7)) for one in (stored, None))
    assert 0.5 < unknown / known < 2


def test_only_a_few_are_verified_at_once() -> None:
    class Counting(PasswordHasher):
        running = most = 0

        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            self.running += 1
            self.most = max(self.most, self.running)
            barrier.wait(timeout=10)
            self.running -= 1
            return "hash"

    barrier, hasher = threading.Barrier(2), Counting()
    passwords = Passwords(hasher)
    threads = [threading.Thread(target=passwords.hash, args=[GOOD]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hasher.most == 2


@pytest.mark.parametrize(
    ("password", "says"),
    [
        pytest.param("a" * 11, "12 to 200 characters; this one has 11", id="too short"),
        pytest.param("ab" * 101, "12 to 200 characters; this one has 202", id="too long"),
        pytest.param("aaaaaaaaaaaaaaaa", "guessed at once", id="one letter"),
        pytest.param("ada.lovelace", "guessed at once", id="the name"),
    ],
)
def test_a_password_that_is_too_easy_is_told_why(password: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        check_password(SecretStr(password), user="ada.lovelace")
    check_password(GOOD, user="ada.lovelace")


def test_more_than_a_few_do_not_wait_for_their_turn() -> None:
    """Each that waits holds a thread, and all others need one too."""
    may_go_on, began = threading.Event(), threading.Semaphore(0)

    class Slow(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            began.release()
            assert may_go_on.wait(20)
            return super().hash(password, salt=salt)

    passwords = Passwords(Slow(time_cost=1, memory_cost=8, parallelism=1))
    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(passwords.hash, SecretStr("correct horse battery")) for _ in range(40)]
        assert began.acquire(timeout=20)
        until(lambda: sum(one.done() for one in asked) == 32, seconds=20, what="those who were refused")
        may_go_on.set()
    assert sum(isinstance(one.exception(), Busy) for one in asked) == 32
    assert passwords.hash(SecretStr("correct horse battery"))
